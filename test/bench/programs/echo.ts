/** A bare MQTT client that answers each message on one topic with one on another, at once. First argument: the broker's port. */
import { answerParent } from '../answering.ts'
import { promptClient } from '../prompt-client.ts'

const client = await promptClient(Number(process.argv[2]))
client.on('message', (_topic, payload) => client.publish('bench/answer', payload, { qos: 1 }))
await client.subscribeAsync('bench/question', { qos: 1 })
answerParent(async () => ({}))
