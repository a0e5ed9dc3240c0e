/** The permissions of one device, with what they keep on the disk and whom they tell. */
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { DeviceAudit } from '../../observe/device-audit.ts'
import type { ApprovalEvent } from '../../wire/approvals.ts'
import { Approvals } from './approvals.ts'
import { Permissions, type PermissionsDeps } from './permissions.ts'
import type { Policy } from './policy.ts'
import { Uses } from './uses.ts'

export interface DevicePermissionsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly audit: Pick<DeviceAudit, 'get'>
  /** Tells people that something waits for their yes, and how it ended. Never throws. */
  readonly publish: (event: ApprovalEvent) => void
  readonly refuses: NonNullable<PermissionsDeps['refuses']>
}

export interface DevicePermissionsOptions {
  /** Where agents keep what they leave. */
  readonly directory: string
  readonly timezone: string
  readonly policy: Policy
}

export class DevicePermissions implements AsyncDisposable {
  readonly permissions: Permissions
  readonly approvals: Approvals
  readonly #stack: AsyncDisposableStack

  /** Throws where the disk cannot be used. */
  static async open(
    { clock, log, audit: kept, publish, refuses }: DevicePermissionsDeps,
    { directory, timezone, policy }: DevicePermissionsOptions,
    signal: AbortSignal,
  ): Promise<DevicePermissions> {
    await using stack = new AsyncDisposableStack()
    const named = log.named('permissions')
    signal.throwIfAborted()
    const audit = await kept.get()
    const { uses, recoveredFrom } = Uses.open(join(directory, 'used.db'), clock.nowMs())
    stack.use(uses)
    if (recoveredFrom)
      named.error('what agents have used could not be read: their rates begin anew', { recoveredFrom })
    const approvals = new Approvals({ clock, answers: uses, publish })
    const shared = { clock, log: named, audit, uses, approvals, refuses }
    const permissions = new Permissions({ ...shared, timezone, policy })
    return new DevicePermissions(permissions, approvals, stack.move())
  }

  private constructor(permissions: Permissions, approvals: Approvals, stack: AsyncDisposableStack) {
    this.permissions = permissions
    this.approvals = approvals
    this.#stack = stack
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}
