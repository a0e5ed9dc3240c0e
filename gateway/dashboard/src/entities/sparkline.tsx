/**
 * The recent course of one sensor. uPlot draws it on a canvas; the space is kept before there is anything to draw, so
 * nothing moves. The words beside it say the same to people who do not see it.
 */
import { useSignalEffect } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { historyOf, type Series } from '../state/history.ts'
import { span, trimmed } from '../words.ts'

const height = 36
const padding = 3

export function Sparkline(props: {
  readonly entityKey: string
  readonly name: string
  readonly unit: string
}) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const history = historyOf(props.entityKey)

  useEffect(() => {
    const element = place.current
    if (!element) return
    const chart = new uPlot(options(element), dataOf(history.peek()), element)
    plot.current = chart
    const resized = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }))
    resized.observe(element)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const redraw = () => chart.redraw()
    dark.addEventListener('change', redraw)
    return () => {
      dark.removeEventListener('change', redraw)
      resized.disconnect()
      chart.destroy()
      plot.current = undefined
    }
  }, [history])
  useSignalEffect(() => plot.current?.setData(dataOf(history.value)))

  return <div class="sparkline" ref={place} role="img" aria-label={words(props, history.value)} />
}

function options(element: HTMLElement): uPlot.Options {
  const colour = (name: string) => () => getComputedStyle(element).getPropertyValue(name)
  return {
    width: element.clientWidth,
    height,
    padding: [padding, padding, padding, padding],
    cursor: { show: false },
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: false },
      y: { range: (_, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) },
    },
    series: [
      {},
      { stroke: colour('--accent'), width: 1.5, fill: colour('--accent-soft'), points: { show: false } },
    ],
  }
}

function dataOf({ times, values }: Series): uPlot.AlignedData {
  return [[...times], [...values]]
}

function words({ name, unit }: { name: string; unit: string }, { times, values }: Series): string {
  const first = times[0]
  const last = times.at(-1)
  if (first === undefined || last === undefined || values.length < 2) return `${name}: no course yet`
  const range = `${trimmed(Math.min(...values), 2)} to ${trimmed(Math.max(...values), 2)} ${unit}`
  return `${name}: ${range} within ${span((last - first) * 1000)}`
}
