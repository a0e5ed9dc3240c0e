/** The list of pipelines. One more is a file beside this one and a line here. */
import { moonshinePipeline } from './moonshine.pipeline.ts'
import type { PipelineKind } from './pipeline.ts'
import { sileroVadPipeline } from './silero-vad.pipeline.ts'
import { stepsPipeline } from './steps.pipeline.ts'
import { tensorPipeline } from './tensor.pipeline.ts'
import { useLitePipeline } from './use-lite.pipeline.ts'

export const pipelines: readonly PipelineKind[] = [
  tensorPipeline,
  stepsPipeline,
  sileroVadPipeline,
  moonshinePipeline,
  useLitePipeline,
]
