/** The commands about agents, declared for `cli.ts`. */
import { Argument, type Command } from 'commander'
import { type Declared, each } from './approval-commands.ts'

export function addAgentCommands({ program, run, shared }: Omit<Declared, 'ofHub'>): void {
  const source = () => import('./commands/agent-source.ts')
  const commands = () => import('./commands/agent.ts')
  const agent = program
    .command('agent')
    .description('programs that run on a device: write, check, run, look after')
  shared(agent.command('init').argument('<name>', 'its name, or the folder to be called so'))
    .description('write a folder with an agent to begin from, and types for an editor')
    .action((name: string, options) =>
      run(options, async (context) => (await source()).agentInit(name, context)),
    )
  shared(
    agent.command('check').argument('<agent>', 'a TypeScript file, a folder with one, or a shipped agent'),
  )
    .description('say in plain words what an agent wants; nothing of it runs')
    .option('--policy <file>', 'and what a device with that policy would grant')
    .action((file: string, options) =>
      run(options, async (context) => (await source()).agentCheck(file, options, context)),
    )
  const ofHub = (command: Command, device: string) =>
    shared(command)
      .option('--url <url>', 'the hub’s HTTP address; default: the one in the state directory')
      .option('--device <id>', device)
  const ofDevice = (command: Command) => ofHub(command, 'which device, where there are several')
  const ofAgent = (command: Command) => ofHub(command, 'on which device; default: where the agent is')
  ofDevice(
    agent.command('run').argument('<agent>', 'a TypeScript file, a folder with one, or a shipped agent'),
  )
    .description('ask what an agent may do, and start it')
    .option('--as <name>', 'its name in this home, where several run the same program')
    .option('--record', 'keep what happens to it, so that it can be run once more: "ganglion agent replay"')
    .option('--by <name>', 'who grants it; default: who is logged in here')
    .option('--pin', 'ask for the PIN that proves it; or set GANGLION_PIN')
    .option(
      '--grant <what>',
      '"all" that it wants, what the device’s "policy" allows, or a JSON file; default: asked for',
    )
    .action((file: string, options) =>
      run(options, async (context) => (await commands()).agentRun(file, options, context)),
    )
  ofAgent(agent.command('grant').argument('<name>', 'an agent'))
    .description('show what an agent may do; with a change: at once, also while it runs')
    .option('--allow <capability>', 'this too, as the agent wants it; repeatable', each)
    .option('--limits <json>', 'for what --allow names: {"times":["22:00-06:00"],"rate":"10/h","ask":true}')
    .option('--deny <capability>', 'this no more, or "all"; repeatable', each)
    .option('--set <file>', 'a JSON file with what it may do, and nothing else')
    .option('--beyond', 'also what the agent does not ask for')
    .option('--by <name>', 'who grants it; default: who is logged in here')
    .option('--pin', 'ask for the PIN that proves it; or set GANGLION_PIN')
    .action((name: string, options) =>
      run(options, async (context) =>
        (await import('./commands/agent-grant.ts')).agentGrant(name, options, context),
      ),
    )
  ofHub(agent.command('list'), 'only there; default: on every device that is online')
    .description('agents, their state and what they wait for')
    .option('--shipped', 'instead those that come with Ganglion, whether they run or not')
    .action((options) =>
      run(options, async (context) =>
        options.shipped
          ? (await source()).agentsShipped(context)
          : (await commands()).agentList(options, context),
      ),
    )
  ofAgent(agent.command('logs').argument('<name>', 'an agent'))
    .description('what an agent said')
    .option('-f, --follow', 'and what it says from now on, until Ctrl-C')
    .option('--lines <number>', 'the newest lines, at most 200', '50')
    .action((name: string, options) =>
      run(options, async (context) => (await commands()).agentLogs(name, options, context)),
    )
  ofAgent(agent.command('move').argument('<name>', 'an agent').argument('<to>', 'another device of the site'))
    .description('carry an agent to another device, in the middle of what it waits for')
    .option('--by <name>', 'who says so; default: who is logged in here')
    .option('--pin', 'ask for the PIN that proves it; or set GANGLION_PIN')
    .action((name: string, to: string, options) =>
      run(options, async (context) =>
        (await import('./commands/agent-move.ts')).agentMove(name, to, options, context),
      ),
    )
  ofDevice(
    agent
      .command('policy')
      .addArgument(
        new Argument('<what>', 'read the file that device.agents.policy names').choices(['reload']),
      ),
  )
    .description('let a changed policy hold now: what it no longer allows is taken back at once')
    .option('--by <name>', 'who says so; default: who is logged in here')
    .option('--pin', 'ask for the PIN that proves it; or set GANGLION_PIN')
    .action((_: string, options) =>
      run(options, async (context) =>
        (await import('./commands/agent-policy.ts')).agentPolicyReload(options, context),
      ),
    )
  shared(
    agent
      .command('replay')
      .argument('[run]', 'a recorded run, an agent for its newest, or a file; default: list them'),
  )
    .description('run once more what was recorded on this machine: offline, and nothing is done')
    .option('--with <agent>', 'with this program instead: says what it would have asked for')
    .option('--config <file>', 'configuration that says where state is kept')
    .action((name: string | undefined, options) =>
      run(options, async (context) =>
        (await import('./commands/agent-replay.ts')).agentReplay(name, options, context),
      ),
    )
  const changes = {
    stop: 'stop an agent where it is',
    resume: 'let a stopped or failed agent go on from where it was',
    remove: 'delete an agent and all it left',
  } as const
  for (const [change, description] of Object.entries(changes) as [keyof typeof changes, string][]) {
    const command = ofAgent(agent.command(change).argument('<name>', 'an agent')).description(description)
    if (change === 'resume')
      command.option('--here', 'one that was left on its way: the other device of its move is gone for good')
    if (change !== 'stop')
      command
        .option('--by <name>', 'who says so; default: who is logged in here')
        .option('--pin', 'ask for the PIN that proves it; or set GANGLION_PIN')
    command.action((name: string, options) =>
      run(options, async (context) => (await commands()).agentChange(change, name, options, context)),
    )
  }
}
