/**
 * Device classes that Home Assistant knows, per platform: it refuses a component with any other.
 * https://www.home-assistant.io/integrations/sensor/#device-class and its neighbours.
 */
const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

export const deviceClasses: Readonly<Record<string, ReadonlySet<string>>> = {
  sensor: words(`
    absolute_humidity apparent_power aqi area atmospheric_pressure battery blood_glucose_concentration carbon_dioxide
    carbon_monoxide conductivity current data_rate data_size date distance duration energy energy_distance
    energy_storage enum frequency gas humidity illuminance irradiance moisture monetary nitrogen_dioxide
    nitrogen_monoxide nitrous_oxide ozone ph pm1 pm25 pm10 power power_factor precipitation precipitation_intensity
    pressure reactive_energy reactive_power signal_strength sound_pressure speed sulphur_dioxide temperature timestamp
    volatile_organic_compounds volatile_organic_compounds_parts voltage volume volume_flow_rate volume_storage water
    weight wind_direction wind_speed`),
  binary_sensor: words(`
    battery battery_charging carbon_monoxide cold connectivity door garage_door gas heat light lock moisture motion
    moving occupancy opening plug power presence problem running safety smoke sound tamper update vibration window`),
  cover: words('awning blind curtain damper door garage gate shade shutter window'),
  valve: words('gas water'),
  switch: words('outlet switch'),
  number: words('current distance frequency humidity power speed temperature voltage'),
}

/** Classes whose values only grow: https://www.home-assistant.io/integrations/sensor/#state-class */
const totals = words('energy gas water')
/** Classes that are no number at all. */
const notNumbers = words('date enum timestamp')

/** Home Assistant's state class for a sensor of ours; none for texts. */
export function stateClassOf(deviceClass: string | undefined, unit: string | undefined): string | undefined {
  if (deviceClass !== undefined && notNumbers.has(deviceClass)) return undefined
  if (unit === undefined) return undefined
  return deviceClass !== undefined && totals.has(deviceClass) ? 'total_increasing' : 'measurement'
}
