/** Where a device keeps what agents leave. */
import { join } from 'node:path'

export const agentsIn = (stateDir: string) => join(stateDir, 'agents')
