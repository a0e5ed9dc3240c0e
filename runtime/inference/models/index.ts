/** The models that Ganglion knows: an explicit list; the store fetches none of them before it is asked. */
import type { ModelManifestInput } from '../store/manifest.ts'
import { moonshineTinyEn } from './moonshine-tiny-en.model.ts'
import { sileroVad } from './silero-vad.model.ts'
import { useLite } from './use-lite.model.ts'

export const models: readonly ModelManifestInput[] = [sileroVad, moonshineTinyEn, useLite]

/** The ones that hearing needs. */
export const voiceModels: readonly string[] = [sileroVad.name, moonshineTinyEn.name]
