/** One device: opens its parts in order, connects them, closes them in reverse. Nothing else happens here. */
import { resolve } from 'node:path'
import type { Hal, OpenBoard } from '../hal/contract/board.ts'
import type { Safety } from '../hal/contract/safety.ts'
import { AgentCalls } from './agent/agent-calls.ts'
import { CallsAcross } from './agent/calling/across.ts'
import type { Contractor, DecisionRecord } from './agent/decide/decisions.ts'
import { entryOf, eventOf } from './agent/decide/record.ts'
import { safetyVeto } from './agent/decide/safety-veto.ts'
import { DeviceAgents, type DeviceAgentsDeps } from './agent/device-agents.ts'
import { lacks } from './agent/move/lacks.ts'
import { Mover, type MoverDeps } from './agent/move/mover.ts'
import { Replicator, toOthers } from './agent/move/replicate.ts'
import { TakeOver } from './agent/move/take-over.ts'
import { schedulerOf } from './agent/scheduler/device-resources.ts'
import { type ServicesDeps, servicesOf } from './agent/services/index.ts'
import { Site } from './agent/site.ts'
import { AgentDoor, type AgentDoorDeps } from './assistant/agent-door.ts'
import { Assistant } from './assistant/assistant.ts'
import { Calls } from './assistant/calls.ts'
import { listenLive } from './assistant/live.ts'
import type { Clock } from './base/clock.ts'
import { withDeadline } from './base/deadline.ts'
import { messageOf, UsageError } from './base/errors.ts'
import { Identity } from './base/identity.ts'
import type { Log } from './base/log.ts'
import { openStateDir } from './base/state-dir.ts'
import type { DeviceConfig } from './config/config.ts'
import { linkOptions, outboxOptions, readHome } from './config/parts.ts'
import { type DeviceInference, openInference } from './inference/device-inference.ts'
import { voiceModels, wakeModel } from './inference/models/index.ts'
import { Outbox } from './link/outbox.ts'
import { Link } from './link/session.ts'
import type { AuditEntry } from './observe/audit-chain.ts'
import { DeviceAudit } from './observe/device-audit.ts'
import { deviceStatus } from './observe/status.ts'
import { Perception, perceptionModels } from './perception/perception.ts'
import { Voice } from './perception/voice.ts'
import { Actuation } from './things/actuation.ts'
import { Expiries } from './things/expiries.ts'
import { Fences } from './things/fences.ts'
import { attachBoard } from './things/hal-source.ts'
import { Leases } from './things/leases.ts'
import { homeMessage, publishHome } from './things/publication.ts'
import { EntityRegistry } from './things/registry.ts'
import { Remote } from './things/remote/remote.ts'
import { remoteRefusal } from './things/remote/rule.ts'
import { understand } from './understanding/understand.ts'
import type { DecisionEvent } from './wire/decide.ts'

export interface RuntimeDeps {
  readonly clock: Clock
  readonly log: Log
  readonly hal: Hal
  /** The home to simulate when the configuration names none; absent: this machine's own board. */
  readonly home?: { readonly name: string; readonly yaml: string }
}

const openBoardMsMax = 15_000

export class Runtime implements AsyncDisposable {
  readonly device: string
  readonly registry: EntityRegistry
  readonly assistant: Assistant
  readonly link: Link
  readonly voice: Voice | undefined
  readonly #stack: AsyncDisposableStack

  private constructor(
    parts: Pick<Runtime, 'device' | 'registry' | 'assistant' | 'link' | 'voice'>,
    stack: AsyncDisposableStack,
  ) {
    this.device = parts.device
    this.registry = parts.registry
    this.assistant = parts.assistant
    this.link = parts.link
    this.voice = parts.voice
    this.#stack = stack
  }

  /** Throws UsageError for what a person can mend in configuration or home; other errors are the parts' own. */
  static async open(deps: RuntimeDeps, config: DeviceConfig, signal: AbortSignal): Promise<Runtime> {
    const { clock, log } = deps
    await using stack = new AsyncDisposableStack()
    openStateDir(config.stateDir)
    const openedMs = clock.monotonicMs()

    const board = stack.use(await openBoard(deps, config, signal))
    homeMessage(config.id, board)
    const registry = new EntityRegistry(board.layout.areas)
    const leases = board.safety && stack.use(openLeases(deps, config, board.safety))
    const fence = stack.use(new Fences({ clock, log }, config.stateDir))
    const others: Others = {}
    const leaseToken = (name: string) => others.site?.leases.highest(name) ?? 0
    const expiries = stack.use(new Expiries({ clock, log }, config.stateDir))
    const actuation = new Actuation({ clock, registry, authority: leases, fence, leaseToken, expiries })
    stack.defer(attachBoard(board, registry, actuation))
    expiries.begin(actuation)

    const outbox = stack.use(await Outbox.open({ clock, log }, outboxOptions(config), signal))
    const link = stack.use(await Link.open({ clock, log, outbox }, linkOptions(config), signal))
    if (leases) stack.defer(link.onChange((connected) => leases.network(connected)))
    const tell = (kind: string) => (event: object) => {
      link
        .publishEvent(kind, event, 'event')
        .catch((error) => log.warn('an event was not kept', { kind, reason: messageOf(error) }))
    }
    const hand: AgentDoorDeps['hand'] = async (call, s) => await others.agents?.hand(call, s)
    const door = new AgentDoor({ registry, actuation, hand })
    const spoken = { clock, registry, actuation, understand, onEvent: tell('command') }
    const assistant = new Assistant({ ...spoken, toAgent: door.give })

    const stop = new AbortController()
    // At once: whoever sees this device online may command it. Models and perception come behind.
    const refuseCommands = link.onSet((entity, { id, ttlMs, ...command }) => {
      const meta = {
        principal: 'mqtt',
        viaNetwork: true,
        ...(id === undefined ? {} : { id }),
        ...(ttlMs === undefined ? {} : { ttlMs }),
      }
      void assistant.command({ entity, command, ...meta }, stop.signal)
    })
    stack.defer(refuseCommands)
    const inference = stack.use(await openInference({ ...deps, board, registry, link }, config, signal))
    const { router, served } = inference
    served.want(perceptionModels(config.perception))
    const perception = stack.use(
      await Perception.open(
        {
          ...{ clock, log, hal: deps.hal, registry, inference: router, camera: board.camera },
          publishEvent: (kind, event) => link.publishEvent(kind, event, 'event'),
          stateDir: config.stateDir,
        },
        config.perception,
        signal,
      ),
    )
    const voice = config.voice.enabled
      ? stack.use(await openVoice(deps, inference, config, signal))
      : undefined
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
    const holds: ServicesDeps['holds'] = (agent, { name, token }) =>
      others.site?.leases.held(name, agent)?.token === token
    const services = servicesOf({
      ...{ clock, registry, actuation, inference: router, timeZone, holds, askedFor: door.askedFor },
      site: { own: config.id, remote: () => others.remote },
    })
    const shared = { clock, log, services, models: router, publishApproval: tell('approval') }
    const together = config.agents.enabled
      ? stack.use(
          await openTogether(
            {
              ...shared,
              ...{ link, registry, actuation, inference, others, home: door.home },
              safety: board.safety,
              tellDecision: tell('decision'),
            },
            config,
            signal,
          ),
        )
      : undefined
    expiries.recordIn(together && ((entry) => together.audit.record(entry)))
    const home = homeMessage(config.id, board, perception.components)
    stack.defer(publishHome({ link, registry, home }))
    const top = together && (() => together.agents.top())
    const observed = { clock, config, board, link, voice, perception, inference, top, openedMs }
    const status = () => deviceStatus(observed)
    const calls = new Calls({
      ...{ clock, assistant, voice, sim: board.sim, status, router },
      agents: together && new AgentCalls({ clock, log, ...together }, config),
      together: together && (() => together.site.together()),
      board: together && ((...asked) => together.site.board.page(...asked)),
      recordingsFrom: config.gateway,
    })
    stack.defer(link.onRpc((method, request, s) => calls.answer(method, request, s)))
    if (voice && board.microphone)
      stack.use(listenLive({ clock, log, voice, assistant, microphone: board.microphone }))
    // First of all when closing: what still waits for its effect is ended.
    stack.defer(() => {
      refuseCommands()
      stop.abort()
    })
    return new Runtime({ device: config.id, registry, assistant, link, voice }, stack.move())
  }

  /** Stops listening, finishes what is under way as far as deadlines allow, closes the hardware last. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

async function openBoard(deps: RuntimeDeps, config: DeviceConfig, signal: AbortSignal): Promise<OpenBoard> {
  const { clock, log, hal } = deps
  const home = config.home === undefined ? deps.home : readHome(config.home)
  const options = {
    hostSensors: config.hostSensors,
    ...(home === undefined ? {} : { home: { ...home, ...(config.share && { share: config.share }) } }),
    ...(config.voice.microphone === undefined ? {} : { microphone: config.voice.microphone }),
    ...(config.camera === undefined ? {} : { camera: config.camera }),
    ...(config.hardware === undefined
      ? {}
      : { hardware: config.hardware, safetyDir: resolve(config.stateDir, 'safety') }),
  }
  const host = { clock, log: log.named('hal'), random: () => clock.random() }
  try {
    return await withDeadline(
      clock,
      'opening the board',
      openBoardMsMax,
      (s) => hal.openBoard(options, host, s),
      signal,
    )
  } catch (error) {
    // A home or hardware that cannot be as written is the mistake of whoever wrote it.
    if ((error as { code?: unknown }).code === 'malformed')
      throw new UsageError(messageOf(error), { cause: error })
    throw error
  }
}

function openLeases({ clock, log }: RuntimeDeps, config: DeviceConfig, safety: Safety): Leases {
  const { parts = [], networkGraceS = 0 } = config.hardware ?? {}
  const keeping = parts.filter((part) => part.keepWithoutNetwork).map(({ id }) => `.${id}`)
  const keeps = (component: string) => keeping.some((id) => component.endsWith(id))
  return new Leases({ clock, log, safety }, { networkGraceMs: networkGraceS * 1000, keeps })
}

type Shared = Omit<DeviceAgentsDeps, 'identity' | 'audit' | 'publishAgents' | 'scheduler'>
interface Together extends AsyncDisposable {
  readonly agents: DeviceAgents
  readonly mover: Mover
  readonly site: Site
  readonly identity: Identity
  readonly audit: DeviceAudit
}

/** What agents reach of the other devices, and people of the agents, once it is open: calls that were under way at a crash are performed before all is. */
interface Others {
  site?: Site
  remote?: Remote
  agents?: DeviceAgents
}

interface TogetherDeps extends Shared {
  readonly link: Link
  readonly others: Others
  readonly registry: EntityRegistry
  readonly actuation: Actuation
  readonly inference: DeviceInference
  readonly safety: Safety | undefined
  readonly tellDecision: (event: DecisionEvent) => void
}

/** What this device does with the others of its site, and its agents; closed before the link. */
async function openTogether(
  { link, registry, actuation, inference, safety, others, tellDecision, ...shared }: TogetherDeps,
  config: DeviceConfig,
  signal: AbortSignal,
): Promise<Together> {
  const { clock, log, services } = shared
  const { id, stateDir, peers } = config
  await using stack = new AsyncDisposableStack()
  const identity = Identity.open(id, stateDir)
  const audit = stack.use(new DeviceAudit({ clock, log, identity }, stateDir))
  const record = (record: DecisionRecord) => {
    tellDecision(eventOf(record))
    audit
      .record(entryOf(record))
      .catch((error) => log.error('a decision was not recorded', { reason: messageOf(error) }))
  }
  let agents: DeviceAgents | undefined
  const runs = (agent: string) => agents?.runs(agent) ?? true
  const vetoes = safety && stack.use(await safetyVeto(safety, id))
  const interested = (subject: string) => agents?.decidesOn(subject) ?? true
  const contractor: Contractor = { offer: async (...asked) => agents?.contractor.offer(...asked) }
  const site = stack.use(
    await Site.open(
      {
        ...{ clock, log, bus: link, identity, record, runs, contractor, interested },
        ...(vetoes && { veto: vetoes.veto }),
      },
      { stateDir, peers, weights: config.agents.weights },
      signal,
    ),
  )
  others.site = site
  const scheduler = schedulerOf(clock, config.agents)
  stack.defer(() => scheduler.close())
  const leaseHolder = (lease: string) => site.leases.holder(lease)
  others.remote = stack.use(
    new Remote(
      {
        ...{ clock, log, bus: link, signer: site.signer, registry, actuation, scheduler },
        record: (entry) => audit.record(entry),
        onNew: (listener) => site.peers.onNew(listener),
      },
      config.agents,
    ),
  )
  const recordCall = (entry: AuditEntry) => audit.record(entry)
  const across = stack.use(
    new CallsAcross({ clock, log, bus: link, signer: site.signer, record: recordCall }),
  )
  const deps = {
    ...{ ...shared, identity, audit, across, scheduler, leaseHolder },
    services: [...services, ...site.services],
  }
  const topic = link.topics.agents(id)
  const publishAgents: DeviceAgentsDeps['publishAgents'] = (now) =>
    now ? link.setRetained(topic, JSON.stringify(now)) : link.clearRetained(topic)
  const copies: { changed?: () => void } = {}
  const changed = () => copies.changed?.()
  const { namesakes } = site
  agents = stack.use(await DeviceAgents.open({ ...deps, namesakes, publishAgents, changed }, config, signal))
  others.agents = agents
  const here = { ...shared, link, registry, inference, audit, people: config.people }
  const agentsConfig = { ...config.agents, replicate: toOthers(config.agents.replicate, id) }
  const mover = stack.use(await openMover(here, agents, { site, config: agentsConfig }, signal))
  const replicator = openCopies({ ...shared, link, site, mover }, agents, agentsConfig, stack)
  copies.changed = () => void replicator?.changed().catch(() => {})
  const open = stack.move()
  return { agents, mover, site, identity, audit, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

function openMover(
  {
    clock,
    log,
    link,
    registry,
    inference,
    audit,
    people,
  }: Pick<TogetherDeps, 'clock' | 'log' | 'link' | 'registry' | 'inference'> &
    Pick<Together, 'audit'> &
    Pick<DeviceConfig, 'people'>,
  agents: DeviceAgents,
  { site, config }: { readonly site: Site; readonly config: DeviceConfig['agents'] },
  signal: AbortSignal,
): Promise<Mover> {
  const { router, served, routes } = inference
  const { signer, namesakes } = site
  const here = {
    device: signer.device,
    entities: () => registry.view().entities.map(({ info }) => info.id),
    runs: (model: string) => routes.some((route) => route.offer(model).usable),
    models: () => served.list().map(({ name }) => name),
    tools: Object.keys(config.mcp),
    thinks: () => router.modelsFor('chat').length > 0,
    refuses: (from: string, entity: string) => {
      const { info } = registry.get(entity) ?? {}
      return info && remoteRefusal(config, from, info)
    },
  }
  const moves = async () => (await agents.get()).moves
  const known = async () => (await agents.known())?.moves
  const missing = (grants: string, from: string) => lacks(here, grants, from)
  const deps = { clock, log, bus: link, signer, lacks: missing }
  const { acceptFrom, takeOver } = config
  const accepts = { acceptFrom, keepsFor: takeOver?.from ?? [], proven: people.length > 0 }
  const record = (entry: AuditEntry) => audit.record(entry)
  const carried: MoverDeps['carried'] = (agent, bytes) => agents.carried(agent, bytes)
  const copies = config.replicate
  const elsewhere: MoverDeps['elsewhere'] = (agent) => namesakes.runsOn(agent)
  return Mover.open({ ...deps, open: moves, known, accepts, record, carried, copies, elsewhere }, signal)
}

/** Copies of this device's agents for others, and of others' for this one. */
function openCopies(
  {
    clock,
    log,
    link,
    site,
    mover,
  }: Pick<TogetherDeps, 'clock' | 'log' | 'link'> & { site: Site; mover: Mover },
  agents: DeviceAgents,
  { replicate, takeOver }: DeviceConfig['agents'],
  stack: AsyncDisposableStack,
): Replicator | undefined {
  const known = async () => (await agents.known())?.moves.copies
  const shared = { clock, log, mover, known }
  if (takeOver && takeOver.after !== 'by-hand') {
    const options = { from: takeOver.from, afterMs: takeOver.after * 1000 }
    const away = () => site.peers.away
    stack.use(new TakeOver({ ...shared, bus: link, away, leases: site.leases }, options))
  }
  if (!replicate) return undefined
  const { to, everyS, agents: named } = replicate
  return stack.use(new Replicator({ ...shared }, { to, everyMs: everyS * 1000, agents: named }))
}

function openVoice(
  { clock, log }: RuntimeDeps,
  { router, served }: DeviceInference,
  { voice: { audioSMax, wake, privacy } }: DeviceConfig,
  signal: AbortSignal,
): Promise<Voice> {
  const { words, confidence, idleS } = wake
  const options = {
    models: voiceModels,
    audioSMax,
    privacy,
    ...(wake.enabled ? { wake: { model: wakeModel, words, confidence, idleMs: idleS * 1000 } } : {}),
  }
  return Voice.open({ clock, log, inference: router, served }, options, signal)
}
