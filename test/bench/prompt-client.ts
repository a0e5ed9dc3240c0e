/** A bare MQTT client whose socket sends each packet at once: without that, small answers wait 40 ms for an acknowledgement. */
import { Socket } from 'node:net'
import mqtt, { type MqttClient } from 'mqtt'

export async function promptClient(port: number): Promise<MqttClient> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 4,
    reconnectPeriod: 0,
  })
  if (client.stream instanceof Socket) client.stream.setNoDelay(true)
  return client
}
