/** Where a device keeps what agents leave. */
import { join } from 'node:path'

export const agentsIn = (stateDir: string) => join(stateDir, 'agents')
/** The database, in there. */
export const agentsFile = 'agents.db'
