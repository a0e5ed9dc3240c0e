/**
 * Planar YUV 4:2:0 to RGB, limited range (ITU-R BT.601-7, 2.5.4: Y 16 to 235, colour differences 16 to 240). rpicam-vid
 * writes BT.601 below 1280 × 720 and BT.709 (ITU-R BT.709-6, 3) from there on.
 */

/** From BT.601 to BT.709 at this height. */
const hdHeight = 720
/** Contributions to red, green and blue, times 65536. */
const bt601 = { redV: 104_597, greenU: 25_675, greenV: 53_279, blueU: 132_201 }
const bt709 = { redV: 117_489, greenU: 13_975, greenV: 34_925, blueU: 138_438 }
const luma = 76_309

export function yuv420Bytes(width: number, height: number): number {
  return (width * height * 3) / 2
}

/** `width` and `height` are even; rows have no padding. */
export function yuv420ToRgb(yuv: Uint8Array, width: number, height: number): Uint8Array {
  const { redV, greenU, greenV, blueU } = height >= hdHeight ? bt709 : bt601
  const rgb = new Uint8ClampedArray(width * height * 3)
  const uAt = width * height
  const vAt = uAt + uAt / 4
  let out = 0
  for (let row = 0; row < height; row += 1) {
    const chromaRow = (row >> 1) * (width >> 1)
    for (let column = 0; column < width; column += 1) {
      const chroma = chromaRow + (column >> 1)
      const y = ((yuv[row * width + column] ?? 0) - 16) * luma + 32_768
      const u = (yuv[uAt + chroma] ?? 0) - 128
      const v = (yuv[vAt + chroma] ?? 0) - 128
      rgb[out] = (y + redV * v) >> 16
      rgb[out + 1] = (y - greenU * u - greenV * v) >> 16
      rgb[out + 2] = (y + blueU * u) >> 16
      out += 3
    }
  }
  return new Uint8Array(rgb.buffer)
}
