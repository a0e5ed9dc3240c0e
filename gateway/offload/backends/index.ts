/** The kinds of backend, in order of preference among equals: what computes here comes first. */
import type { BackendKind } from './kind.ts'
import { oipKind } from './oip.backend.ts'
import { openAiKind } from './openai.backend.ts'
import { poolKind } from './pool.backend.ts'

export const backendKinds: readonly BackendKind[] = [poolKind, oipKind, openAiKind]
