/** What a board is, as pure data (`boards/*.board.ts`), and what an opened board offers. */
import type { Accelerator, AcceleratorConfig } from './accelerator.ts'
import type { Actuator } from './actuator.ts'
import type { Camera, FrameCutter } from './camera.ts'
import type { Component, Json } from './component.ts'
import type { HardwareConfig } from './hardware-config.ts'
import type { Host, HostClock } from './host.ts'
import type { Microphone } from './microphone.ts'
import type { Safety } from './safety.ts'
import type { Sensor } from './sensor.ts'
import type { Speaker } from './speaker.ts'

/** A hardware model. Matched by device-tree `compatible` or DMI, never by the `model` string. */
export interface Board {
  /** `<vendor>-<board>`, equal to the file's name. */
  readonly id: string
  readonly name: string
  readonly arch: 'arm64' | 'x64' | 'any'
  /**
   * Device-tree compatible strings, most specific first, or `dmi:<sys_vendor>:<product_name>` for machines without a
   * device tree. Empty: never matched by these; `generic-<arch>` is what remains.
   */
  readonly compatible: readonly string[]
  /** Memory that Ganglion's processes may use on it, megabytes. */
  readonly memoryBudgetMb: { readonly runtime: number; readonly engine: number }
  readonly headers: readonly Header[]
  readonly buses: readonly BoardBus[]
  readonly pwm: readonly BoardPwm[]
  readonly thermal: readonly ThermalZone[]
  readonly power: readonly PowerTelemetry[]
  /** Watts of one core that computes, above idle; only where a source gives it. */
  readonly wattsPerBusyCore?: number
  readonly accelerators: readonly BoardAccelerator[]
  /** Longest time that the hardware watchdog can be set to, seconds; absent: none is known. */
  readonly watchdogSMax?: number
  /** Where these facts come from. */
  readonly sources: readonly string[]
}

/** A pin header, pins in the order of their numbers. */
export interface Header {
  /** As printed on the board: `J8`, `40-pin`. */
  readonly name: string
  /** Pins side by side in a row, as a person sees them: 1 or 2. */
  readonly columns: 1 | 2
  readonly pins: readonly HeaderPin[]
}

export type HeaderPin =
  | { readonly pin: number; readonly kind: 'power'; readonly name: string; readonly volts: number }
  | { readonly pin: number; readonly kind: 'ground'; readonly name: string }
  | { readonly pin: number; readonly kind: 'unconnected'; readonly name: string }
  | {
      readonly pin: number
      readonly kind: 'gpio'
      /** Name a person uses: `GPIO17`. Unique on the board. */
      readonly name: string
      /** Label of the gpiochip in the kernel: `pinctrl-rp1`, never its number. */
      readonly chip: string
      /** Name of the line in the device tree, or its offset where the tree names none. */
      readonly line: string | number
      /** Its offset on the chip, where every kernel counts the same: for trees that name the line otherwise or not at all. */
      readonly offset?: number
      /** Functions of the pin besides GPIO, as the board's documentation names them: `I2C1 SDA`. */
      readonly functions: readonly string[]
      /** Why it is not offered, where it is not: `HAT EEPROM`. */
      readonly reserved?: string
    }

/** A bus that is, or with the named overlay can be, on a header. */
export interface BoardBus {
  /** Id in configurations: `i2c-1`, `spi-0.0`, `uart-0`, `w1-0`, `can-0`. */
  readonly id: string
  readonly kind: 'i2c' | 'spi' | 'serial' | 'one-wire' | 'can'
  /** Address of the controller in the device tree (`1f00074000.i2c`): stable, where numbers are not. Absent: not known. */
  readonly device?: string
  /** Fallback, where the device tree or a fixed alias names the node: `/dev/i2c-1`. */
  readonly path?: string
  /** Header pins that it takes. */
  readonly pins: readonly number[]
  /** What to do where it is off: `add dtparam=i2c_arm=on to /boot/firmware/config.txt and restart`. */
  readonly enable?: string
}

export interface BoardPwm {
  /** Header pin. */
  readonly pin: number
  /** Device address of the controller: `1f00098000.pwm`. */
  readonly device: string
  readonly channel: number
  readonly enable?: string
}

export interface ThermalZone {
  /** `type` of the zone in /sys/class/thermal: `cpu-thermal`. */
  readonly type: string
  readonly warnC: number
  readonly criticalC: number
}

export interface PowerTelemetry {
  readonly kind: 'under-voltage' | 'rail' | 'throttle'
  readonly name: string
  /** `name` of the hwmon device, or the path below /sys. */
  readonly hwmon?: string
  readonly path?: string
}

export interface BoardAccelerator {
  readonly id: string
  readonly name: string
  /** Trillions of operations per second as the maker states them, with the precision. */
  readonly claim: string
  /** Device nodes or device-tree names that show it is there. */
  readonly shownBy: readonly string[]
  /** How Ganglion reaches it: in process, by an adapter of this name, or not yet. */
  readonly reachedBy: 'cpu' | { readonly adapter: string } | 'not-yet'
}

/** Rooms of the place that a board looks after. */
export interface Layout {
  readonly areas: readonly {
    readonly id: string
    readonly name: string
    readonly floor?: string
    readonly aliases?: readonly string[]
  }[]
}

export type FaultKind = 'stuck' | 'slow' | 'lost-command' | 'lying' | 'offline'

/** A fault of a simulated device. */
export interface SimFault {
  readonly kind: FaultKind
  /** `slow`: how much longer every movement takes. Default 10. */
  readonly factor?: number
  /** `lost-command`: how many commands get lost. Default: all. */
  readonly count?: number
  /** `lying`: what the telemetry claims, whatever the device does. Default: the effect of the command is claimed, nothing moves. */
  readonly telemetry?: { readonly state?: string; readonly attributes?: Readonly<Record<string, Json>> }
}

/**
 * One of several devices that look after one simulated home: it gets every `of`-th area, from the `part`-th on, with what is in
 * it; what is in no area is the first device's; what is everywhere is each device's.
 */
export interface HomeShare {
  /** From 1. */
  readonly part: number
  readonly of: number
  /** Where the shares tell each other how their rooms are: heat passes walls, whoever looks after the rooms beside them. */
  readonly directory: string
}

/** Levers that only a simulated world has. */
export interface SimControl {
  /** Injects a fault, or clears it with `undefined`. Throws HalError `not-present` for an unknown id. */
  fault(componentId: string, fault: SimFault | undefined): void
  faults(): ReadonlyMap<string, SimFault>
  /** What a device really is, whatever its telemetry says. */
  truth(componentId: string): { readonly state: string; readonly attributes: Readonly<Record<string, Json>> }
  /** Sets state and attributes as if the world had done it; attributes are merged. */
  set(componentId: string, change: { state?: string; attributes?: Readonly<Record<string, Json>> }): void
}

/** Sensors that tell under what conditions this machine computes, by id. Absent: nothing tells it. */
export interface ConditionSensors {
  /** Temperature of the processor, °C. */
  readonly temperature?: string
  /** On while the kernel or the firmware holds the processor back. */
  readonly throttled?: string
  /** On: mains; off: battery. */
  readonly mains?: string
  /** Charge, percent. */
  readonly battery?: string
}

/** The device's hardware, opened. Disposing closes every component. */
export interface OpenBoard extends AsyncDisposable {
  readonly board: Board
  /** How the board was recognised, for a person. */
  readonly recognisedBy: string
  readonly simulated: boolean
  readonly layout: Layout
  readonly sensors: readonly Sensor[]
  readonly conditions: ConditionSensors
  readonly actuators: readonly Actuator[]
  readonly components: readonly Component[]
  readonly microphone?: Microphone
  readonly speaker?: Speaker
  readonly camera?: Camera
  readonly sim?: SimControl
  /** There when actuators are attached: they are commanded under a lease. */
  readonly safety?: Safety
}

export interface OpenBoardOptions {
  /** Parts that a person attached, checked against drivers and board. Absent: none. */
  readonly hardware?: HardwareConfig
  /** Folder for what safety must remember: faults, token, audit. Needed with actuators. */
  readonly safetyDir?: string
  /** A home in the fixture format (YAML text and the name to use in errors): opens the simulated board with that home. */
  readonly home?: { readonly name: string; readonly yaml: string; readonly share?: HomeShare }
  /** Add this machine's own sensors (CPU temperature, load, memory, disk). */
  readonly hostSensors: boolean
  /** ALSA capture device for the microphone, for example `default`. Absent: no microphone. */
  readonly microphone?: string
  /** ALSA playback device for the loudspeaker. Absent: none. */
  readonly speaker?: string
  /** V4L2 device (`/dev/video0`), or `rpicam:<n>` for a camera on a Raspberry Pi's own connector. Absent: none. */
  readonly camera?: string
  /** Roots of the file systems read, replaceable in tests. */
  readonly roots?: { readonly proc: string; readonly sys: string; readonly dev: string }
}

/** The door to the HAL: the composition root passes it on, so nothing else needs to import the HAL. */
export interface Hal {
  openBoard(options: OpenBoardOptions, host: Host, signal: AbortSignal): Promise<OpenBoard>
  /** An adapter, with `cpu` behind it for what the adapter cannot do. Starts nothing until it is asked for something. */
  openAccelerator(config: AcceleratorConfig, cpu: Accelerator, host: Host): Promise<Accelerator>
  /** For pictures that come through a pipe and from no camera of the board: frames of `frameBytes`. */
  cutFrames(frameBytes: number, clock: Pick<HostClock, 'nowMs'>): FrameCutter
}
