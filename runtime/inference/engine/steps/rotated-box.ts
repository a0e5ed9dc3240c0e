/**
 * The smallest rectangle around some points, turned as it lies best: one of its sides lies on a side of the points' convex hull
 * (H. Freeman, R. Shapira, 1975). The hull is Andrew's monotone chain.
 */

export type Point = readonly [x: number, y: number]

/** Centre, direction of the first side (a unit vector), and half the length of each side. */
export interface RotatedBox {
  readonly x: number
  readonly y: number
  readonly directionX: number
  readonly directionY: number
  readonly halfLength: number
  readonly halfWidth: number
}

/** `points` are not empty. */
export function smallestBox(points: readonly Point[]): RotatedBox {
  const hull = convexHull(points)
  let best: RotatedBox | undefined
  for (const [at, point] of hull.entries()) {
    const next = hull[(at + 1) % hull.length] as Point
    const length = Math.hypot(next[0] - point[0], next[1] - point[1])
    const direction: Point =
      length === 0 ? [1, 0] : [(next[0] - point[0]) / length, (next[1] - point[1]) / length]
    const box = boxAlong(hull, direction)
    if (!best || box.halfLength * box.halfWidth < best.halfLength * best.halfWidth) best = box
  }
  return best as RotatedBox
}

/** The box with `distance` more on each side. */
export function grown(box: RotatedBox, distance: number): RotatedBox {
  return { ...box, halfLength: box.halfLength + distance, halfWidth: box.halfWidth + distance }
}

/** Top left, top right, bottom right, bottom left: of the two leftmost corners the upper is the first. */
export function corners(box: RotatedBox): [Point, Point, Point, Point] {
  const { x, y, directionX, directionY, halfLength, halfWidth } = box
  const corner = (along: number, across: number): Point => [
    x + along * halfLength * directionX - across * halfWidth * directionY,
    y + along * halfLength * directionY + across * halfWidth * directionX,
  ]
  const byX = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)].sort((a, b) => a[0] - b[0])
  const [leftTop, leftBottom] = byX.slice(0, 2).sort((a, b) => a[1] - b[1]) as [Point, Point]
  const [rightTop, rightBottom] = byX.slice(2).sort((a, b) => a[1] - b[1]) as [Point, Point]
  return [leftTop, rightTop, rightBottom, leftBottom]
}

function boxAlong(points: readonly Point[], [ux, uy]: Point): RotatedBox {
  let [low, high, left, right] = [Infinity, -Infinity, Infinity, -Infinity]
  for (const [x, y] of points) {
    const along = x * ux + y * uy
    const across = y * ux - x * uy
    low = Math.min(low, along)
    high = Math.max(high, along)
    left = Math.min(left, across)
    right = Math.max(right, across)
  }
  const along = (low + high) / 2
  const across = (left + right) / 2
  return {
    x: along * ux - across * uy,
    y: along * uy + across * ux,
    directionX: ux,
    directionY: uy,
    halfLength: (high - low) / 2,
    halfWidth: (right - left) / 2,
  }
}

export function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1])
  if (sorted.length < 3) return sorted
  const lower = halfHull(sorted)
  const upper = halfHull(sorted.reverse())
  return [...lower.slice(0, -1), ...upper.slice(0, -1)]
}

function halfHull(sorted: readonly Point[]): Point[] {
  const hull: Point[] = []
  for (const point of sorted) {
    while (hull.length > 1 && turn(hull.at(-2) as Point, hull.at(-1) as Point, point) <= 0) hull.pop()
    hull.push(point)
  }
  return hull
}

function turn(a: Point, b: Point, c: Point): number {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}
