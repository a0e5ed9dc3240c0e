/**
 * An actuator moves something. A command says the wanted outcome in the vocabulary of the component's kind:
 *
 *   light         {state?, brightness? 0-255, rgb_color? [r,g,b], color_temp_kelvin?}
 *   switch        {state}
 *   fan           {state?, percentage? 0-100, oscillating?, preset_mode?}
 *   cover, valve  {state: open|closed} | {position: 0-100} | {action: stop}
 *   lock          {state: locked|unlocked}
 *   climate       {state?: on|off, hvac_mode?, temperature?, target_temp_low?, target_temp_high?, fan_mode?, preset_mode?}
 *   media_player  {state?: on|off|playing|paused|idle, volume_level? 0-1, muted?, source?, action?: next|previous|stop}
 *   vacuum        {action: start|pause|stop|return_to_base|locate}
 *   todo          {action: add_item|complete_item|remove_item, item}
 *   number        {value}
 *   select        {option}
 *
 * `command` resolving means that the hardware took the command. It says nothing about the effect: that is what
 * telemetry is for.
 */
import type { ActuatorKind, Component, Json } from './component.ts'

export type Command = Readonly<Record<string, Json>>

/** Who commands, and how long the command is worth anything. */
export interface CommandMeta {
  /** Id of the command; a repeated id must not move a non-idempotent actuator twice. */
  readonly id: string
  /** Who asked: `user`, `mqtt`, `agent:<name>`. */
  readonly principal: string
  /** The command must not start to act later than this after it was issued, milliseconds. */
  readonly ttlMs: number
  /**
   * Needed by attached actuators: the lease, and the number of this command under it, which must grow by every
   * command. Without one they refuse with `permission`.
   */
  readonly lease?: { readonly id: string; readonly sequence: number }
}

export interface Actuator extends Component {
  readonly info: Component['info'] & { readonly kind: ActuatorKind }
  /**
   * Hands a command to the hardware. Throws HalError: `out-of-range` and `unsupported` name the field, `timeout` and
   * `not-present` mean that the hardware did not answer, `closed` after disposal.
   */
  command(command: Command, meta: CommandMeta, signal: AbortSignal): Promise<void>
}
