/** Image files out of the user's hands: chosen, dropped or pasted; shrunk before they travel to the kernel. */

/** Bytes of a file that travels as it is. */
const SMALL = 4_000_000;
/** Bytes that the connection to a kernel takes; it is cut off by more, without a word. */
const MOST = 9_000_000;
/** Longer side of a photograph in pixels, as rfwidget/widget/photograph.py keeps it. */
const SIDE = 2048;

/**
 * The bytes of an image file, shrunk in the page if it is large.
 *
 * @throws Error in words, if it is too large and no kind of image that the browser knows
 */
export async function bytesOfImage(file: File): Promise<ArrayBuffer> {
  if (file.size <= SMALL) return file.arrayBuffer();
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  if (!picture) {
    if (file.size <= MOST) return file.arrayBuffer();
    const size = Math.round(file.size / 1e6);
    throw new Error(`${file.name} has ${size} MB, and this browser cannot shrink it: make it smaller than 9 MB first`);
  }
  const zoom = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * zoom)));
  const canvas = new OffscreenCanvas(width ?? 1, height ?? 1);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser cannot draw the picture");
  context.fillStyle = "#fff"; // what lies under transparent parts
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.93 })).arrayBuffer();
}

/** Takes files that are dropped on an element or pasted into it, until the signal aborts. */
export function takeFiles(element: HTMLElement, take: (file: File) => void, signal: AbortSignal): void {
  const carriesFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  const over = (event: DragEvent) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    event.stopPropagation();
    element.toggleAttribute("data-dropping", true);
  };
  const leave = () => element.toggleAttribute("data-dropping", false);
  const drop = (event: DragEvent) => {
    leave();
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab would upload it to the server
    take(file);
  };
  const paste = (event: ClipboardEvent) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    event.stopPropagation();
    take(file);
  };
  element.addEventListener("dragover", over, { signal });
  element.addEventListener("dragleave", leave, { signal });
  element.addEventListener("drop", drop, { signal });
  element.addEventListener("paste", paste, { signal });
}
