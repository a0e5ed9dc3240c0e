/** The commands by which people answer what agents wait for, declared for `cli.ts`. */
import type { Command } from 'commander'
import type { Context } from './context.ts'

/** What declares commands gets. */
export interface Declared {
  readonly program: Command
  readonly run: (options: object, action: (context: Context) => Promise<number>) => Promise<void>
  /** Adds the options of every command; of every command that talks to a hub. */
  readonly shared: (command: Command) => Command
  readonly ofHub: (command: Command) => Command
}

/** Of options that may be given several times. */
export const each = (text: string, before: readonly string[] = []) => [...before, text]

export function addApprovalCommands({ program, run, shared, ofHub }: Declared): void {
  const commands = () => import('./commands/approvals.ts')
  ofHub(program.command('approvals'))
    .description('what agents wait for a person’s yes or answer for')
    .option('--device <id>', 'which device, where there are several')
    .action((options) => run(options, async (context) => (await commands()).approvals(options, context)))
  ofHub(
    program
      .command('approve')
      .argument('<id>', 'as "ganglion approvals" shows it')
      .argument('<answer>', 'yes or no, or one of the answers that are shown'),
  )
    .description('answer what an agent waits for')
    .option('--device <id>', 'which device, where there are several')
    .option('--by <name>', 'who answers; default: who is logged in here')
    .option('--pin', 'ask for the PIN that proves it; or set GANGLION_PIN')
    .action((id: string, answer: string, options) =>
      run(options, async (context) => (await commands()).approve(id, answer, options, context)),
    )
  ofHub(program.command('deny').argument('<id>', 'as "ganglion approvals" shows it'))
    .description('say no to what an agent wants; the same as "approve ID no"')
    .option('--device <id>', 'which device, where there are several')
    .option('--by <name>', 'who says so; default: who is logged in here')
    .option('--pin', 'ask for the PIN that proves it; or set GANGLION_PIN')
    .action((id: string, options) =>
      run(options, async (context) => (await commands()).approve(id, 'no', options, context)),
    )
  ofHub(program.command('forget').argument('<person>', 'whom agents noted something about'))
    .description('erase what the agents of a home remember about somebody')
    .option('--device <id>', 'only there; default: on every device that is online')
    .option('--yes', 'do not ask')
    .option('--by <name>', 'who says so; default: who is logged in here')
    .option('--pin', 'ask for the PIN that proves it; or set GANGLION_PIN')
    .action((name: string, options) =>
      run(options, async (context) => (await import('./commands/forget.ts')).forget(name, options, context)),
    )
  shared(program.command('person').argument('<name>', 'somebody of the home'))
    .description('what to write into the configuration so that a device knows somebody by a PIN')
    .action((name: string, options) =>
      run(options, async (context) => (await import('./commands/person.ts')).person(name, context)),
    )
}
