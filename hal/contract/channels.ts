/**
 * What a sensor's channel measures. The name fixes the unit: a driver cannot report hectopascals as `pressure`.
 * Units are SI, or accepted beside SI (BIPM SI Brochure, table 8), and known to Home Assistant
 * (https://www.home-assistant.io/integrations/sensor/#device-class).
 */

export interface ChannelRule {
  /** Unit of the value; '' for a number without one. */
  readonly unit: string
  /** Home Assistant device class, where there is one. */
  readonly deviceClass?: string
  /** A `binary` channel is 0 or 1 and becomes a binary_sensor. */
  readonly binary?: true
  /** Decimals worth showing. */
  readonly decimals: number
}

const axis = (unit: string, decimals: number): ChannelRule => ({ unit, decimals })

export const channels = {
  temperature: { unit: '°C', deviceClass: 'temperature', decimals: 2 },
  humidity: { unit: '%', deviceClass: 'humidity', decimals: 1 },
  pressure: { unit: 'Pa', deviceClass: 'atmospheric_pressure', decimals: 0 },
  illuminance: { unit: 'lx', deviceClass: 'illuminance', decimals: 1 },
  co2: { unit: 'ppm', deviceClass: 'carbon_dioxide', decimals: 0 },
  pm1: { unit: 'µg/m³', deviceClass: 'pm1', decimals: 0 },
  pm25: { unit: 'µg/m³', deviceClass: 'pm25', decimals: 0 },
  pm10: { unit: 'µg/m³', deviceClass: 'pm10', decimals: 0 },
  voltage: { unit: 'V', deviceClass: 'voltage', decimals: 3 },
  voltage_0: { unit: 'V', deviceClass: 'voltage', decimals: 4 },
  voltage_1: { unit: 'V', deviceClass: 'voltage', decimals: 4 },
  voltage_2: { unit: 'V', deviceClass: 'voltage', decimals: 4 },
  voltage_3: { unit: 'V', deviceClass: 'voltage', decimals: 4 },
  shunt_voltage: { unit: 'V', deviceClass: 'voltage', decimals: 6 },
  current: { unit: 'A', deviceClass: 'current', decimals: 3 },
  power: { unit: 'W', deviceClass: 'power', decimals: 3 },
  distance: { unit: 'm', deviceClass: 'distance', decimals: 3 },
  acceleration_x: axis('m/s²', 3),
  acceleration_y: axis('m/s²', 3),
  acceleration_z: axis('m/s²', 3),
  angular_velocity_x: axis('rad/s', 4),
  angular_velocity_y: axis('rad/s', 4),
  angular_velocity_z: axis('rad/s', 4),
  latitude: axis('°', 6),
  longitude: axis('°', 6),
  altitude: { unit: 'm', deviceClass: 'distance', decimals: 1 },
  speed: { unit: 'm/s', deviceClass: 'speed', decimals: 2 },
  course: axis('°', 1),
  satellites: axis('', 0),
  motion: { unit: '', deviceClass: 'motion', binary: true, decimals: 0 },
  contact: { unit: '', deviceClass: 'opening', binary: true, decimals: 0 },
  level: { unit: '', binary: true, decimals: 0 },
  pulses: axis('', 0),
} as const satisfies Readonly<Record<string, ChannelRule>>

export type ChannelName = keyof typeof channels

/**
 * `ok`; `stale`: an older value, the newest could not be read; `saturated`: at the end of the sensor's range;
 * `implausible`: outside what the part can measure or cannot be true.
 */
export type Quality = 'ok' | 'stale' | 'saturated' | 'implausible'

export interface ChannelValue {
  /** In the channel's unit. Never NaN. */
  readonly value: number
  readonly quality: Quality
}

/** One measurement of a sensor device: all channels taken together. */
export interface Reading {
  readonly channels: Readonly<Partial<Record<ChannelName, ChannelValue>>>
  /** When it was measured, milliseconds since the Unix epoch. */
  readonly tsMs: number
}
