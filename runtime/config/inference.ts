/** `device.inference`: what models may use of this board, and where they are found. */
import * as v from 'valibot'

const count = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max))
const model = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'must be the name of a model'))
const weight = v.pipe(v.number(), v.minValue(0), v.maxValue(1e9))
/** A fifth: more would double the load of a bad day. */
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(0.2))

export const inferenceSchema = v.strictObject({
  /** Memory of all loaded models together, megabytes. Absent: as the board is described, half of the memory at most. */
  budgetMb: v.optional(count(1_000_000)),
  /** Threads of one model. Absent: as measured by `ganglion models tune`, else the cores but one. */
  threads: v.optional(count(64)),
  /** Engine processes. Absent: one. */
  workers: v.optional(count(16)),
  /** Folders of models besides the one of `ganglion models add`: each holds NAME/model.yaml. */
  folders: v.optional(v.pipe(v.array(v.pipe(v.string(), v.nonEmpty())), v.maxLength(8)), []),
  /**
   * How far requests may travel whose own label allows it: `device` keeps everything here, `site` allows the gateway,
   * `cloud` also what the gateway passes on.
   */
  allow: v.optional(v.picklist(['device', 'site', 'cloud']), 'site'),
  /** How places for a model are weighed against each other (`inference/router/README.md`). */
  routing: v.optional(
    v.strictObject({
      /** Milliseconds of waiting that a joule of this device is worth. */
      msPerJoule: v.optional(
        v.strictObject({ mains: v.optional(weight, 0), battery: v.optional(weight, 100) }),
        {},
      ),
      /** Milliseconds of waiting that one unit of the currency is worth, where somebody charges by the request. */
      msPerPrice: v.optional(weight, 100_000),
      /** Share of requests that may be asked of two places at once; 0 for none. */
      hedgeShare: v.optional(share, 0.05),
      /** Share of requests of which a copy may go elsewhere, to learn how it is there; 0 for none. */
      probeShare: v.optional(share, 0.05),
    }),
    {},
  ),
  /** HTTP addresses of further gateways on the same broker, beside `gateway`: large inputs go to these and nowhere else. */
  gateways: v.optional(v.pipe(v.array(v.pipe(v.string(), v.url('must be a URL'))), v.maxLength(8)), []),
  /** Models that stay loaded whatever else wants their memory. */
  pin: v.optional(v.pipe(v.array(model), v.maxLength(16)), []),
})

export type InferenceSection = v.InferOutput<typeof inferenceSchema>
