/** Bare Node that waits: what a process costs before it holds anything. Plain JavaScript, so that nothing is stripped. */
process.stdin.resume()
process.stdin.once('end', () => process.exit(0))
