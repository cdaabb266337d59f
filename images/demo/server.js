'use strict'
/*
 * A Minecraft server that needs no download: flying-squid with the outside of
 * the vanilla server and of the image itzg/minecraft-server. World and settings
 * below /data, wanted settings in /config/server.properties, settings of the
 * process in the environment:
 *
 *     VERSION        Minecraft version (1.20.4; 1.8.8 … 1.21.4, or LATEST)
 *     ENABLE_RCON    true | false (true)
 *     RCON_PASSWORD  without one RCON stays off
 *     RCON_PORT      25575
 *     SERVER_PORT    instead of server-port
 *     OPS, WHITELIST names with commas; EXISTING_OPS_FILE and
 *                    EXISTING_WHITELIST_FILE: MERGE | SYNCHRONIZE | SKIP
 *     RCON_CMDS_STARTUP  console commands for the start, one a line
 *     DATA_DIR, CONFIG_DIR   instead of /data and /config
 */

const path = require('path')
const readline = require('readline')
const log = require('./lib/log')
const properties = require('./lib/properties')
const rcon = require('./lib/rcon')
const players = require('./lib/players')
const world = require('./lib/world')
const lists = require('./lib/lists')
const { Console } = require('./lib/commands')
const { GAME_MODES, DIFFICULTIES } = require('./lib/access')

const DEFAULT_VERSION = '1.20.4'

/* What the library calls wrongly is not for a server's log. */
process.noDeprecation = true

const started = process.hrtime.bigint()
const env = process.env
const rconPassword = env.RCON_PASSWORD ?? ''
delete env.RCON_PASSWORD

function fatal (text) {
  log.warn(text)
  process.exit(1)
}

function integer (text, def, min, max) {
  const n = /^-?\d+$/.test(text ?? '') ? Number(text) : def
  return Math.min(Math.max(n, min), max)
}

function choice (text, names, def) {
  const i = names.indexOf((text ?? '').toLowerCase())
  return i >= 0 ? i : integer(text, def, 0, names.length - 1)
}

/* Java's rule: a number is the seed itself, text its String.hashCode(). */
function seedOf (text) {
  if (!text) return undefined
  if (/^-?\d+$/.test(text)) return Number(BigInt.asIntN(32, BigInt(text))) || 1
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash || 1
}

function levelName (text) {
  const name = text || 'world'
  if (/^\.+$|[\\/\0]/.test(name)) fatal(`level-name "${name}" is no name of a folder`)
  return name
}

function settings () {
  const dataDir = path.resolve(env.DATA_DIR || '/data')
  const configDir = path.resolve(env.CONFIG_DIR || '/config')
  let props
  try {
    props = properties.load(dataDir, configDir)
  } catch (err) {
    fatal(`Failed to load server.properties: ${err.message}`)
  }
  const version = /^latest$/i.test(env.VERSION ?? '') ? '1.21.4' : (env.VERSION || DEFAULT_VERSION)
  return {
    dataDir,
    lists: lists.load(dataDir, configDir, props.get('white-list') === 'true', env),
    version,
    host: props.get('server-ip') || undefined,
    port: integer(env.SERVER_PORT || props.get('server-port'), 25565, 1, 65535),
    rconPort: integer(env.RCON_PORT, 25575, 1, 65535),
    motd: props.get('motd') ?? 'A Minecraft Server',
    maxPlayers: integer(props.get('max-players'), 20, 0, 100000),
    gameMode: choice(props.get('gamemode'), GAME_MODES, 0),
    difficulty: choice(props.get('difficulty'), DIFFICULTIES, 1),
    viewDistance: integer(props.get('view-distance'), 10, 2, 32),
    level: levelName(props.get('level-name')),
    seed: seedOf(props.get('level-seed')),
    flat: !/amplified|large_biomes|hills/i.test(props.get('level-type') ?? '')
  }
}

/* The library wants a terminal of its own: it gets none. */
function createServer (options) {
  const create = readline.createInterface
  readline.cursorTo = () => true
  readline.createInterface = () => ({ setPrompt () {}, prompt () {}, on () {} })
  try {
    return require('flying-squid').createMCServer(options)
  } finally {
    readline.createInterface = create
  }
}

function options (s) {
  return {
    host: s.host,
    port: s.port,
    version: s.version,
    motd: s.motd,
    'max-players': s.maxPlayers,
    'online-mode': false,
    'view-distance': s.viewDistance,
    'everybody-op': false,
    'max-entities': 100,
    'player-list-text': { header: { text: '' }, footer: { text: '' } },
    gameMode: s.gameMode,
    difficulty: s.difficulty,
    worldFolder: path.join(s.dataDir, s.level),
    generation: { name: s.flat ? 'superflat' : 'diamond_square', options: { worldHeight: 80, seed: s.seed, version: s.version } },
    kickTimeout: 30000,
    logging: false,
    noConsoleOutput: true,
    plugins: {},
    /* With it the library leaves uncaught errors to us. */
    debug: () => {},
    errorHandler (client, err) {
      if (client.username) log.warn(`${client.username} lost connection: ${err.message}`)
      client.end('Internal exception')
    },
    beforePing (response) {
      response.players.online = server.players.length
      response.players.sample = server.players.slice(0, 12).map(p => ({ name: p.username, id: p.uuid }))
    }
  }
}

let server
let stopping = false

/* Saves everything, sends the players away and exits with 0. */
async function stop (people) {
  if (stopping) return
  stopping = true
  log.info('Stopping the server')
  log.info('Saving players')
  await Promise.all(server.players.map(player => player.save()))
  server.players.slice().forEach(player => player._client.end('Server closed'))
  await people.saved()
  log.info('Saving worlds')
  server.overworld.stopSaving()
  await server.overworld.waitSaving()
  log.info('ThreadedAnvilChunkStorage: All dimensions are saved')
  server._server.close()
  /* Long enough for the last packets to leave. */
  setTimeout(() => process.exit(0), 100)
}

/* A fault in one player's packets must not end everybody's game; a fault
 * before the server runs must. */
function uncaught (err) {
  log.error('Encountered an unexpected exception', err)
  if (!server?.isReady) process.exit(1)
}

async function handleSignals (stopNow) {
  /* The library's own handlers would exit before anything is saved. */
  await import('exit-hook')
  await new Promise(resolve => setImmediate(resolve))
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.removeAllListeners(signal)
    process.on(signal, stopNow)
  }
  process.removeAllListeners('exit')
  process.on('SIGHUP', stopNow)
}

async function startRcon (s, terminal) {
  if (/^(false|0|no)$/i.test(env.ENABLE_RCON ?? 'true')) return
  if (rconPassword === '') {
    log.warn('No rcon password set, rcon disabled!')
    return
  }
  await rcon.listen({
    host: s.host,
    port: s.rconPort,
    password: rconPassword,
    run: line => terminal.run(line, 'Rcon')
  })
  log.info(`RCON running on ${s.host ?? '0.0.0.0'}:${s.rconPort}`)
}

async function main () {
  process.on('uncaughtException', uncaught)
  process.on('unhandledRejection', uncaught)
  const s = settings()
  const opts = options(s)
  log.info(`Starting minecraft server version ${s.version}`)
  log.info(`Default game type: ${GAME_MODES[s.gameMode].toUpperCase()}`)
  log.info(`Starting Minecraft server on ${s.host ?? '*'}:${s.port}`)
  await world.prepare(opts.worldFolder, s.version).catch(err => fatal(`Failed to open the world: ${err.message}`))
  try {
    server = createServer(opts)
  } catch (err) {
    fatal(`Failed to start the minecraft server: ${err.message}`)
  }
  server.removeAllListeners('error')
  server.removeAllListeners('listening')
  server.removeAllListeners('clientError')
  server.on('clientError', () => {})
  server.on('error', err => {
    if (server.isReady) return log.error('Server', err)
    log.warn('**** FAILED TO BIND TO PORT!')
    fatal(`The exception was: ${err.message}`)
  })
  /* Colours are marked by "&", which newer clients would show as it is. */
  if (server.supportFeature('chatPacketsUseNbtComponents')) {
    for (const name of Object.keys(server.color)) server.color[name] = ''
  }

  const people = players.setup(server, s, s.lists)
  const stopNow = () => stop(people).catch(err => { log.error('Failed to save', err); process.exit(1) })
  const terminal = new Console(server, { lists: s.lists, stop: stopNow, seed: () => opts.generation.options.seed })
  log.info(`Preparing level "${s.level}"`)
  await handleSignals(stopNow)
  await server.waitForReady(20000)
  await startRcon(s, terminal).catch(err => fatal(`Unable to initialise RCON on port ${s.rconPort}: ${err.message}`))
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  log.info(`Done (${seconds.toFixed(3)}s)! For help, type "help"`)
  for (const line of (env.RCON_CMDS_STARTUP ?? '').split('\n')) await terminal.line(line)
  readline.createInterface({ input: process.stdin, terminal: false }).on('line', line => terminal.line(line))
}

main()
