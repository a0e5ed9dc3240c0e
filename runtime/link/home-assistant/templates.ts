/**
 * The Jinja templates that Home Assistant runs for us, kept to few and plain forms (the tests render every one of them):
 * reading our state JSON `{v, state, attributes, ts}`, and writing our command JSON. `None` is what Home Assistant's
 * MQTT platforms take for "unknown".
 */

/** States of ours that mean that nothing is known. */
const unknownStates = { unknown: 'None', unavailable: 'None' }

/** The state, some of its words replaced; `otherwise` instead of the state where none matches. */
export function stateAs(words: Readonly<Record<string, string>> = {}, otherwise?: string): string {
  const map = Object.entries({ ...unknownStates, ...words }).map(([from, to]) => `'${from}': '${to}'`)
  const rest = otherwise === undefined ? 'value_json.state' : `'${otherwise}'`
  return `{{ {${map.join(', ')}}.get(value_json.state, ${rest}) }}`
}

/** `offline` while the entity itself is, whatever its device says. */
export const entityAvailability = "{{ {'unavailable': 'offline'}.get(value_json.state, 'online') }}"

/** An attribute; `absent` where the report lacks it. */
export function attribute(name: string, absent = "'None'"): string {
  return `{{ value_json.attributes.${name} | default(${absent}) }}`
}

/** An attribute that must be a number: 0 where it is absent or null. */
export function numberAttribute(name: string): string {
  return `{{ value_json.attributes.${name} | default(0, true) }}`
}

/** A true-or-false attribute as `true` or `false`; absent is `false`. */
export function flagAttribute(name: string): string {
  return `{{ value_json.attributes.${name} | default(false, true) | to_json }}`
}

/** One channel of `rgb_color`. */
export function colorChannel(index: 0 | 1 | 2): string {
  return `{{ (value_json.attributes.rgb_color | default([none, none, none], true))[${index}] }}`
}

/** A command with one field, whose value is a number. */
export function numberCommand(field: string, variable = 'value'): string {
  return `{"${field}": {{ ${variable} }}}`
}

/** A command with one field, whose value is a text; quoted by Home Assistant, whatever it holds. */
export function textCommand(field: string): string {
  return `{"${field}": {{ value | to_json }}}`
}

/** A command without a variable part. */
export function fixedCommand(command: Readonly<Record<string, string | number | boolean>>): string {
  return JSON.stringify(command)
}

/** `,"field": …`, only in commands that carry `variable`. */
export function optionalField(field: string, variable: string, value = `{{ ${variable} }}`): string {
  return `{% if ${variable} is defined %}, "${field}": ${value}{% endif %}`
}
