/** One subscriber stops reading: what do the others get, from our broker, from aedes as shipped, and from mosquitto? */
import { alternate } from './alternate.ts'
import type { Benchmark } from './benchmark.ts'
import { openAedes, openMosquitto, openOurs, type RunningBroker } from './brokers.ts'
import { type Flow, measureFlow } from './flood.ts'
import { quantile } from './quantiles.ts'

export const slowSubscriber: Benchmark = {
  name: 'broker.slow-subscriber',
  async run({ quick, signal, progress }) {
    const stallMs = quick ? 4_000 : 10_000
    const measure = (open: () => Promise<RunningBroker>) => async () => {
      await using broker = await open()
      return await measureFlow(broker.port, stallMs, signal)
    }
    if (!openMosquitto)
      progress('mosquitto is not installed (apt-get install mosquitto): compared with aedes alone')
    const flows = await alternate<string, Flow>(
      {
        ours: measure(openOurs),
        aedes: measure(openAedes),
        ...(openMosquitto && { mosquitto: measure(openMosquitto) }),
      },
      { rounds: quick ? 1 : 2, warmUps: 0 },
    )
    const { ours = [], aedes = [], mosquitto } = flows
    const flow = `${ours[0]?.published} messages of 16 KiB in ${stallMs / 1000} s to 3 healthy subscribers and a stalled one`
    const beside = (text: (of: readonly Flow[]) => string) =>
      `${mosquitto ? `mosquitto in the same run ${text(mosquitto)}` : 'mosquitto is not installed'}; ${flow}`
    return [
      {
        name: 'broker.slow-subscriber-share',
        value: leastShare(ours),
        unit: '%',
        baseline: leastShare(aedes),
        against: 'aedes as shipped, which waits for the stalled subscriber',
        budget: { of: 'value', min: 100 },
        limit: 'nothing but the machine: what the stalled one does not take is withheld from it alone',
        note: beside((of) => `${leastShare(of).toFixed(1)} %`),
      },
      {
        name: 'broker.slow-subscriber-gap',
        value: longestGap(ours),
        unit: 'ms',
        baseline: longestGap(aedes),
        against: 'aedes as shipped',
        budget: { of: 'value', max: 100 },
        limit: 'the scheduling of the cores that broker, publisher and subscribers share',
        note: beside((of) => `${longestGap(of).toFixed(0)} ms`),
      },
    ]
  },
}

/** The worst round counts: one stall is one too many. */
const leastShare = (flows: readonly Flow[]) =>
  quantile(
    flows.map((flow) => flow.sharePercent),
    0,
  )
const longestGap = (flows: readonly Flow[]) =>
  quantile(
    flows.map((flow) => flow.gapMs),
    1,
  )
