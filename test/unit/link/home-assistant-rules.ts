/**
 * What Home Assistant demands of a component in a device discovery message, per platform; from its documentation
 * (https://www.home-assistant.io/integrations/light.mqtt/ and its siblings, November 2026).
 */
interface Rules {
  readonly required: readonly string[]
  readonly optional: readonly string[]
  /** Keys that must come together. */
  readonly together?: readonly (readonly string[])[]
}

const words = (text: string) => text.trim().split(/\s+/)
const read = words('state_topic value_template')

/** Every platform's own; `unique_id` is what device discovery requires. */
export const common: Rules = {
  required: ['platform', 'unique_id', 'name'],
  optional: ['availability', 'availability_mode', 'entity_category'],
}

export const platforms: Readonly<Record<string, Rules>> = {
  light: {
    required: words('schema command_topic command_on_template command_off_template'),
    optional: words(`state_topic state_template brightness_template color_temp_kelvin color_temp_template
      min_kelvin max_kelvin red_template green_template blue_template`),
    together: [
      words('red_template green_template blue_template'),
      words('color_temp_kelvin color_temp_template'),
      words('state_topic state_template'),
    ],
  },
  switch: {
    required: ['command_topic'],
    optional: [...read, ...words('device_class payload_on payload_off state_on state_off')],
  },
  fan: {
    required: ['command_topic'],
    optional: words(`state_topic state_value_template command_template payload_on payload_off
      percentage_state_topic percentage_value_template percentage_command_topic percentage_command_template
      oscillation_state_topic oscillation_value_template oscillation_command_topic oscillation_command_template
      payload_oscillation_on payload_oscillation_off preset_modes preset_mode_state_topic
      preset_mode_value_template preset_mode_command_topic preset_mode_command_template`),
    together: [words('preset_modes preset_mode_command_topic')],
  },
  cover: {
    required: [],
    optional: [
      ...read,
      ...words(`command_topic device_class payload_open payload_close payload_stop position_topic position_template
        set_position_topic set_position_template`),
    ],
    together: [words('set_position_topic position_topic')],
  },
  valve: {
    required: [],
    optional: [
      ...read,
      ...words(`command_topic command_template device_class payload_open payload_close payload_stop
        reports_position`),
    ],
  },
  lock: {
    required: ['command_topic'],
    optional: [
      ...read,
      ...words(`payload_lock payload_unlock state_locked state_unlocked state_locking state_unlocking
        state_jammed`),
    ],
  },
  climate: {
    required: [],
    optional: words(`modes mode_state_topic mode_state_template mode_command_topic mode_command_template
      current_temperature_topic current_temperature_template action_topic action_template
      temperature_state_topic temperature_state_template temperature_command_topic temperature_command_template
      temperature_low_state_topic temperature_low_state_template temperature_low_command_topic
      temperature_low_command_template temperature_high_state_topic temperature_high_state_template
      temperature_high_command_topic temperature_high_command_template fan_modes fan_mode_state_topic
      fan_mode_state_template fan_mode_command_topic fan_mode_command_template preset_modes
      preset_mode_state_topic preset_mode_value_template preset_mode_command_topic preset_mode_command_template
      temperature_unit min_temp max_temp temp_step`),
    together: [words('preset_modes preset_mode_command_topic')],
  },
  vacuum: {
    required: [],
    optional: words(`state_topic command_topic supported_features payload_start payload_pause payload_stop
      payload_return_to_base payload_locate`),
  },
  sensor: {
    required: ['state_topic'],
    optional: words('value_template device_class state_class unit_of_measurement'),
  },
  binary_sensor: {
    required: ['state_topic'],
    optional: words('value_template device_class payload_on payload_off'),
  },
  button: { required: ['command_topic'], optional: ['payload_press'] },
  number: {
    required: ['command_topic'],
    optional: [...read, ...words('command_template min max step mode device_class unit_of_measurement')],
  },
  select: { required: ['command_topic', 'options'], optional: [...read, 'command_template'] },
  notify: { required: ['command_topic'], optional: ['command_template'] },
}

export const vacuumFeatures = words(
  'start stop pause return_home status locate clean_spot fan_speed send_command',
)
export const hvacModes = words('auto off cool heat dry fan_only heat_cool')
