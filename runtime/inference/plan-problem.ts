/** What keeps a model's cascade or split, as its manifest has it, from being used: the router then runs the model whole. */
import type { Route } from './router/route.ts'
import type { ServedModel } from './served-models.ts'

/** One line that names the models that are missing, and where; undefined where all of them are there. Looks, and asks nobody. */
export function planProblem(
  { cascade, split }: Pick<ServedModel, 'cascade' | 'split'>,
  routes: readonly Route[],
): string | undefined {
  const here = routes.filter(({ reach }) => reach === 'device')
  const away = routes.filter(({ reach }) => reach !== 'device')
  const lines: string[] = []
  if (cascade && !has(routes, cascade.large))
    lines.push(`cascade: ${cascade.large} is neither here nor at a gateway, so this model answers alone`)
  if (split) {
    const heads = missing(here, split.cuts, 'head')
    const tails = missing(away, split.cuts, 'tail')
    const absent = [
      ...(heads.length > 0 ? [`${heads.join(', ')} not here`] : []),
      ...(tails.length > 0 ? [`${tails.join(', ')} at no gateway`] : []),
    ]
    if (absent.length > 0) lines.push(`split: ${absent.join(', ')}, so it is not cut there`)
  }
  return lines.length > 0 ? lines.join('; ') : undefined
}

type Cuts = NonNullable<ServedModel['split']>['cuts']

function missing(routes: readonly Route[], cuts: Cuts, side: 'head' | 'tail'): string[] {
  return [...new Set(cuts.map((cut) => cut[side]))].filter((name) => !has(routes, name))
}

/** One that is busy or does not load is there: that is told elsewhere. */
function has(routes: readonly Route[], model: string): boolean {
  return routes.some((route) => {
    const offer = route.offer(model)
    return offer.usable || (offer.code !== undefined && offer.code !== 'model-unknown')
  })
}
