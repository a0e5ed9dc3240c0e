/** The gateway's own broker, as it is configured by default; says which port it listens on. */
import { Broker } from '../../../gateway/broker/broker.ts'
import { realClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { answerParent } from '../answering.ts'

const deps = { clock: realClock, log: silentLog }
const broker = await Broker.open(deps, { host: '127.0.0.1', port: 0 }, new AbortController().signal)
answerParent(async () => ({ port: broker.port }))
