/** Pictures that are embedded in a page, as numbers. */

/** The pixels of a picture, straight alpha. */
export type Decode = (address: string, width: number, height: number) => Promise<Uint8ClampedArray<ArrayBuffer>>;

/** Has the browser decode it. */
export async function decodePicture(address: string, width: number, height: number): ReturnType<Decode> {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context?.drawImage(image, 0, 0);
  return context?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
}
