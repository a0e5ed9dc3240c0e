/** The models that Ganglion knows: an explicit list; the store fetches none of them before it is asked. */
import type { ModelManifestInput } from '../store/manifest.ts'
import { keywords } from './keywords.model.ts'
import { moonshineTinyEn } from './moonshine-tiny-en.model.ts'
import { person } from './person.model.ts'
import { ppOcrV4 } from './pp-ocr-v4.model.ts'
import { sileroVad } from './silero-vad.model.ts'
import { ultraLightFace320 } from './ultra-light-face-320.model.ts'
import { useLite } from './use-lite.model.ts'

export const models: readonly ModelManifestInput[] = [
  sileroVad,
  moonshineTinyEn,
  useLite,
  keywords,
  ppOcrV4,
  ultraLightFace320,
  person,
]

/** The ones that hearing needs. */
export const voiceModels: readonly string[] = [sileroVad.name, moonshineTinyEn.name]

/** What listens while nobody speaks, so that those need not be loaded. */
export const wakeModel: string = keywords.name
