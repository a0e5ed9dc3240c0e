/** The baseline of the MLPerf Tiny four: all of them on bare onnxruntime-node in this process, nothing around them. */
import { fileURLToPath } from 'node:url'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { answerParent } from '../answering.ts'
import type { NetworkRuns } from '../mlperf-tiny.bench.ts'
import { fileOf, inputOf, type TinyNetwork, tinyNetworks } from '../tiny-networks.ts'

const sessions = new Map<string, InferenceSession>()
for (const network of tinyNetworks)
  sessions.set(
    network.name,
    await InferenceSession.create(fileURLToPath(fileOf(network)), {
      executionProviders: ['cpu'],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
    }),
  )

answerParent(
  async ({ name, runs }: { readonly name: string; readonly runs: number }): Promise<NetworkRuns> => {
    const network = tinyNetworks.find((one) => one.name === name) as TinyNetwork
    const session = sessions.get(name) as InferenceSession
    const { datatype, data, shape } = inputOf(network)
    const ms: number[] = []
    let answer: readonly number[] = []
    for (let run = 0; run < runs; run += 1) {
      const startMs = performance.now()
      const input = new Tensor(datatype === 'UINT8' ? 'uint8' : 'float32', data as Float32Array, shape)
      const outputs = await session.run({ [network.input]: input }, [network.output])
      ms.push(performance.now() - startMs)
      answer = [...((outputs[network.output]?.data ?? []) as Float32Array)]
    }
    return { ms, answer }
  },
)
