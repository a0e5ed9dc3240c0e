/** A gateway and a device in a simulated home, from the bundle, each on a Node binary of its own if so wanted. */
import { bundled } from './bundle.ts'
import { BundledProgram } from './bundled-program.ts'
import { childRunning, nodeFlags } from './processes.ts'

interface GatewayReady {
  readonly http: string
  readonly mqtt: string
}

export interface HomeNodes {
  readonly gatewayNode: string
  readonly deviceNode: string
}

export class BundledHome implements AsyncDisposable {
  readonly http: string
  readonly device: string
  readonly gatewayPid: number
  readonly devicePid: number
  /** Node's flags of both: `ganglion up` starts both alike. */
  readonly flags: readonly string[]
  readonly #stack: AsyncDisposableStack

  private constructor(
    parts: Pick<BundledHome, 'http' | 'device' | 'gatewayPid' | 'devicePid' | 'flags'>,
    stack: AsyncDisposableStack,
  ) {
    this.http = parts.http
    this.device = parts.device
    this.gatewayPid = parts.gatewayPid
    this.devicePid = parts.devicePid
    this.flags = parts.flags
    this.#stack = stack
  }

  static async open(
    nodes: HomeNodes,
    deviceArgs: readonly string[],
    signal: AbortSignal,
  ): Promise<BundledHome> {
    await using stack = new AsyncDisposableStack()
    const gatewayArgs = ['gateway', '--mqtt-port', '0', '--http-port', '0']
    const gateway = stack.use(
      await BundledProgram.open<GatewayReady>({ node: nodes.gatewayNode, args: gatewayArgs }, signal),
    )
    const gatewayPid = childRunning(bundled('gateway'), gateway.pid)
    const flags = nodeFlags(gatewayPid)
    const { http, mqtt } = gateway.ready
    const args = ['device', '--first-home', '--gateway', http, '--broker', mqtt, ...deviceArgs]
    const device = stack.use(
      await BundledProgram.open<{ readonly device: string }>(
        { node: nodes.deviceNode, nodeFlags: flags, args },
        signal,
      ),
    )
    return new BundledHome(
      { http, device: device.ready.device, gatewayPid, devicePid: device.pid, flags },
      stack.move(),
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}
