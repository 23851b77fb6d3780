import io

from PIL import Image

from rfwidget.widget.png import png_bytes


def test_png_file_names_its_maker_in_the_first_bytes_where_the_overlay_looks():
    file = png_bytes(Image.new("RGBA", (300, 200), "navy"))
    assert b"Software\0rfwidget" in file[:120]  # js/still.ts decodes 160 characters of base64
    assert Image.open(io.BytesIO(file)).size == (300, 200)
