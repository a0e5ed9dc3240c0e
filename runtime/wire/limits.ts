/** Size limits of the wire, in bytes unless the name says otherwise. A larger message is refused before it is parsed. */
export const wireLimits = {
  /** Any MQTT payload of ours; larger things go over HTTP by ticket. */
  mqttPayloadBytesMax: 128 * 1024,
  /** A command to one entity: no legitimate command comes near it. */
  setBytesMax: 8 * 1024,
  /** One frame between the runtime and its engine: ten minutes of 16 kHz float audio is 38 MB. */
  frameBytesMax: 64 * 1024 * 1024,
  /** A recording uploaded to be heard: ten minutes of 48 kHz stereo float. */
  uploadBytesMax: 256 * 1024 * 1024,
  /** A recording that a device takes into memory: two minutes of 48 kHz stereo float. */
  recordingBytesMax: 48 * 1024 * 1024,
  /** One request or answer that goes to or comes from a gateway by ticket: what one frame to its engine can hold. */
  ticketBytesMax: 48 * 1024 * 1024,
  /** Inputs of one inference that a device fetches: what one frame to its engine takes, and some for names. */
  inputsBytesMax: 60 * 1024 * 1024,
  /** Outputs of one inference that a device uploads for its caller: a float for each pixel of a 1920 × 1080 picture. */
  answerBytesMax: 8 * 1024 * 1024,
  /** A bundle of an agent: its code as JSON; larger than any that a person reads. */
  bundleBytesMax: 1024 * 1024,
  /** Text said to the device, characters: longer than any command a person speaks. */
  utteranceCharsMax: 500,
  /** Entities of one device; keeps the retained home description under the payload limit. */
  entitiesMax: 500,
} as const
