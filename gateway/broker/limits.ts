/** Every limit of the broker, with the reason for its default. Bytes unless the name says otherwise. */
import { wireLimits } from '../../runtime/wire/limits.ts'

export interface BrokerLimits {
  readonly connectionsMax: number
  readonly packetBytesMax: number
  readonly connectTimeoutMs: number
  readonly keepaliveMaxS: number
  readonly clientIdCharsMax: number
  readonly topicBytesMax: number
  readonly topicLevelsMax: number
  readonly subscriptionsPerClientMax: number
  readonly inboundQos2PerClientMax: number
  readonly forwardBufferBytesMax: number
  readonly slowGraceMs: number
  readonly retainedMessagesMax: number
  readonly retainedBytesMax: number
  readonly sessionsMax: number
  readonly sessionIdleMsMax: number
  readonly offlineMessagesPerClientMax: number
  readonly offlineBytesPerClientMax: number
  readonly storedBytesMax: number
}

export const defaultBrokerLimits: BrokerLimits = {
  /** A home has tens of devices; 500 idle clients cost about 40 MB. */
  connectionsMax: 256,
  /** Our own payloads end at 128 KiB; the rest is room for topics and for other people's discovery messages. */
  packetBytesMax: 2 * wireLimits.mqttPayloadBytesMax,
  /** A real client sends CONNECT at once; this only has to outlast a slow radio link. */
  connectTimeoutMs: 10_000,
  /** A client that asks for no keep-alive, or a longer one, is still noticed gone after 1.5 times this. */
  keepaliveMaxS: 1200,
  /** MQTT guarantees 23; Home Assistant and ESPHome stay below 64. */
  clientIdCharsMax: 128,
  /** `replyTo` of our own calls may have 512. */
  topicBytesMax: 512,
  /** Deep topics make matching slow; ours have 4 levels, Home Assistant's discovery 5. */
  topicLevelsMax: 16,
  /** Home Assistant's MQTT integration subscribes once per entity: 500 entities and some room. */
  subscriptionsPerClientMax: 1024,
  /** Paho and mosquitto pipeline 20. Each may hold a whole packet. */
  inboundQos2PerClientMax: 32,
  /** What a subscriber may be behind before nothing more is forwarded to it. */
  forwardBufferBytesMax: 1024 * 1024,
  /** Long enough for a garbage collection or a radio hiccup, short enough that nobody notices. */
  slowGraceMs: 3_000,
  /** 20 devices with 500 entities each. */
  retainedMessagesMax: 10_000,
  retainedBytesMax: 16 * 1024 * 1024,
  /** Remembered clients, connected or not. */
  sessionsMax: 512,
  /** A device that stayed away for a week starts afresh. */
  sessionIdleMsMax: 7 * 24 * 3_600_000,
  /** Sent and unacknowledged ones count too. Commands live seconds; events wait in the sender's own outbox as well. */
  offlineMessagesPerClientMax: 2_000,
  offlineBytesPerClientMax: 4 * 1024 * 1024,
  /** All queues together: fits a gateway on a 1 GB board. */
  storedBytesMax: 64 * 1024 * 1024,
}

/** High-water mark of a connection's outgoing side; above it aedes would stall every publisher. Never reached while
 * forwarding stops at `forwardBufferBytesMax`. */
export const writableHighWaterMark = 4 * 1024 * 1024
