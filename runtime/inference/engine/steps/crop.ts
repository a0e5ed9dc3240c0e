/** `crop`: a part of a picture [h,w,c], pixels as they are. A part that is not all inside the picture is refused. */
import type { StepOf } from '../../../wire/steps.ts'
import { fault, pictureOf, type StepKind } from './step.ts'

export const crop: StepKind<StepOf<'crop'>, 'in', 'out'> = {
  takes: { in: ['UINT8', 'FP32'] },
  prepare({ left, top, width, height }, types) {
    const datatype = types.in as 'UINT8' | 'FP32'
    return {
      types: { out: datatype },
      run({ in: content }, buffers) {
        const picture = pictureOf(content)
        if (left + width > picture.width || top + height > picture.height)
          fault(
            `a picture of ${picture.width} × ${picture.height} pixels has no part of ${width} × ${height} at ${left}, ${top}`,
          )
        const rowElements = width * picture.channels
        const data = buffers.take(datatype, height * rowElements)
        for (let y = 0; y < height; y += 1) {
          const start = ((top + y) * picture.width + left) * picture.channels
          data.set(picture.data.subarray(start, start + rowElements), y * rowElements)
        }
        return { out: { datatype, shape: [height, width, picture.channels], data } as typeof content }
      },
    }
  },
}
