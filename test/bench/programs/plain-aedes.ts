/**
 * Aedes as its README shows it: a server and nothing around it; says which port it listens on. With `no-delay` its sockets do
 * not wait to fill packets, as a broker that is tuned for short answers is set up.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Aedes } from 'aedes'
import { answerParent } from '../answering.ts'

const broker = await Aedes.createBroker()
const server = createServer({ noDelay: process.argv[2] === 'no-delay' }, broker.handle)
server.listen(0, '127.0.0.1')
await once(server, 'listening')
answerParent(async () => ({ port: (server.address() as AddressInfo).port }))
