/** One device's own status, asked again every 15 s while somebody looks. An old answer is never shown as a new one. */
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { StatusResult } from '../../../../runtime/wire/messages.ts'
import { api } from '../api.ts'
import type { DeviceView } from '../entity.ts'
import { megabytes, sentence, span } from '../words.ts'
import { Safety } from './safety.tsx'

/** Memory and models change slowly, and each question costs the device a look at every process. */
const againAfterMs = 15_000

type Shown =
  | { readonly kind: 'asking' }
  | { readonly kind: 'told'; readonly status: StatusResult }
  | { readonly kind: 'failed'; readonly message: string }

export function DeviceStatus({ device }: { readonly device: DeviceView }) {
  const online = device.availability === 'online'
  const shown = useStatus(device.id, online)
  return (
    <article class="device" data-device={device.id}>
      <h3>
        {device.name}
        <span class={`badge ${online ? 'good' : 'bad'}`}>{sentence(device.availability)}</span>
        {device.simulated && <span class="badge">Simulated</span>}
      </h3>
      {!online && <p>{awayWords[device.availability]}</p>}
      {online && shown.kind === 'asking' && <p class="quiet">Asking the device…</p>}
      {online && shown.kind === 'failed' && <p>The device did not say how it is: {shown.message}.</p>}
      {online && shown.kind === 'told' && <Status status={shown.status} />}
    </article>
  )
}

const awayWords: Readonly<Record<DeviceView['availability'], string>> = {
  online: '',
  offline:
    'This device is not connected: check its power and its network. Its home is shown as it was last seen.',
  unknown: 'The gateway has no connection to its broker, so it does not know how this device is.',
}

function useStatus(id: string, available: boolean): Shown {
  const [shown, setShown] = useState<Shown>({ kind: 'asking' })
  useEffect(() => {
    if (!available) return
    let over = false
    const ask = async () => {
      if (document.hidden) return
      const next: Shown = await api.status(id).then(
        (status) => ({ kind: 'told', status }),
        (error: Error) => ({ kind: 'failed', message: error.message }),
      )
      if (!over) setShown(next)
    }
    void ask()
    const timer = setInterval(() => void ask(), againAfterMs)
    return () => {
      over = true
      clearInterval(timer)
    }
  }, [id, available])
  return shown
}

function Status({ status }: { readonly status: StatusResult }) {
  const { device, link } = status
  return (
    <>
      {status.problems.length > 0 ? (
        <ul class="problems" aria-label="Problems">
          {status.problems.map((problem) => (
            <li key={problem}>{problem}</li>
          ))}
        </ul>
      ) : (
        <p class="quiet">No problems.</p>
      )}
      <dl class="facts">
        <Fact name="Board">
          {device.board}
          {device.recognisedBy && <span class="row-note">{device.recognisedBy}</span>}
        </Fact>
        <Fact name="Version">{device.version}</Fact>
        <Fact name="Up for">{span(device.uptimeMs)}</Fact>
        <Fact name="Link">
          {link.connected ? `Connected to ${link.broker}` : `Not connected to ${link.broker}`}
        </Fact>
        <Fact name="Outbox">{outboxWords(link)}</Fact>
        {status.camera && <Fact name="Camera">{status.camera.name}</Fact>}
      </dl>
      {status.safety && <Safety safety={status.safety} />}
      <h4>Models</h4>
      {status.models.length === 0 ? (
        <p class="quiet">No models.</p>
      ) : (
        <ul class="rows">
          {status.models.map((model) => (
            <li key={model.name}>
              <span>
                {model.name} <span class="quiet small">{model.version}</span>
              </span>
              <span class={`badge ${modelTone[model.state] ?? ''}`}>{model.state}</span>
              <span class="number">{megabytes(model.megabytes)}</span>
              {model.reason && <span class="row-note">{model.reason}</span>}
            </li>
          ))}
        </ul>
      )}
      <h4>Memory</h4>
      <ul class="rows">
        {status.processes.map((process) => (
          <li key={process.pid}>
            <span>{process.name}</span>
            <span class="badge">{process.state}</span>
            <span class="number">
              {process.pssMb === undefined ? 'not measured' : megabytes(process.pssMb)}
            </span>
          </li>
        ))}
      </ul>
    </>
  )
}

const modelTone: Readonly<Record<string, string>> = { loaded: 'good', failed: 'bad', absent: 'bad' }

function outboxWords(link: StatusResult['link']): string {
  const waiting =
    link.outboxEvents === 0 ? 'empty' : `${link.outboxEvents} events, ${link.outboxBytes} bytes waiting`
  return link.outboxDropped > 0 ? `${waiting}, ${link.outboxDropped} dropped` : waiting
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  )
}
