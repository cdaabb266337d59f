'use strict'
/*
 * Who comes and goes: the log's lines about players, who may come in, and
 * saved players.
 */

const { once } = require('events')
const lists = require('./lists')
const log = require('./log')

function entryWithFlags (player) {
  return {
    uuid: player.uuid,
    player: { name: player.username, properties: player.profileProperties },
    gamemode: player.gameMode,
    latency: player._client.latency
  }
}

function entryOfOldClients (player) {
  return {
    uuid: player.uuid,
    name: player.username,
    properties: player.profileProperties,
    gamemode: player.gameMode,
    ping: player._client.latency
  }
}

/* The library never ends the timer that it starts for each player's tab list,
 * and sends that list to everybody but the newcomer. It starts the timer right
 * after the list, so the next timer is the newcomer's. */
function tabList (serv) {
  const start = global.setInterval
  let newcomer = null

  global.setInterval = function (...args) {
    const timer = start.apply(global, args)
    if (newcomer !== null) {
      newcomer._client.once('end', () => clearInterval(timer))
      newcomer = null
    }
    return timer
  }

  return function send (player) {
    newcomer = player
    const bitfield = serv.supportFeature('playerInfoActionIsBitfield')
    const action = bitfield ? { add_player: true } : 'add_player'
    const entry = bitfield ? entryWithFlags : entryOfOldClients
    player._client.write('player_info', { action, data: serv.players.map(entry) })
    player._writeOthers('player_info', { action, data: [entry(player)] })
  }
}

/* A client of another version would wait half a minute for nothing: the
 * library ends the connection before it can say why. */
function refuseOtherVersions (serv, version) {
  const wanted = serv._server.mcversion.version
  serv._server.on('connection', client => {
    client.prependOnceListener('set_protocol', packet => {
      if (packet.nextState === 1 || packet.protocolVersion === wanted) return
      client.state = 'login'
      client.end('', JSON.stringify({ text: `This server runs Minecraft ${version}` }))
      client.end = () => {}
    })
  })
}

function watch (serv, player, { operators }, saves) {
  const name = log.plain(player._client.username)

  for (const event of ['connected', 'disconnected', 'chat', 'kicked']) player.removeAllListeners(event)
  player.once('connected', () => {
    player.op = operators.has(player.username)
    log.info(`${name} joined the game`)
    player._client.once('end', () => log.info(`${name} left the game`))
  })
  player.on('chat', ({ message }) => log.info(`<${name}> ${message}`))

  /* One save of a player after the other, and all of them awaited at the end. */
  const save = player.save
  let last = Promise.resolve()
  player.save = () => {
    last = last.then(save).catch(err => log.error(`Failed to save player data for ${name}`, err))
    saves.add(last)
    last.then(() => saves.delete(last))
    return last
  }
}

/* Tells the others that a player left, in the packet that their version has. */
function sendLeave (serv, player) {
  if (serv.supportFeature('playerInfoActionIsBitfield')) {
    player._writeOthers('player_remove', { players: [player.uuid] })
  } else {
    player._writeOthers('player_info', { action: 'remove_player', data: [{ uuid: player.uuid }] })
  }
}

/* Why a player may not come in, or undefined. */
function refusal (serv, client, access) {
  const reason = lists.refusal(access, client.username, lists.address(client.socket))
  if (reason !== undefined) return reason
  if (serv.players.length >= serv._server.maxPlayers) return 'The server is full!'
}

/* The library's login lacks the checks that need a name. */
function guardLogin (serv, player, access) {
  const client = player._client
  const login = player.login

  player.login = async () => {
    const reason = refusal(serv, client, access)
    if (reason !== undefined) {
      player.disconnected = true
      player.save = async () => {}
      client.end(reason)
      return
    }
    const earlier = serv.players.find(other => other._client.uuid === client.uuid)
    if (earlier) {
      const gone = once(earlier, 'disconnected')
      earlier._client.end('You logged in from another location')
      await gone
    }
    return login()
  }
}

/* Hooks everything in. Returns {saved()}, which resolves when no player's data
 * is being written any more. access is of lists.load(). */
function setup (serv, { version }, access) {
  const saves = new Set()
  const sendTabList = tabList(serv)

  refuseOtherVersions(serv, version)
  serv.on('newPlayer', player => {
    serv._sendPlayerList = sendTabList
    serv._sendPlayerEventLeave = gone => sendLeave(serv, gone)
    watch(serv, player, access, saves)
    guardLogin(serv, player, access)
  })
  return { saved: () => Promise.all(saves) }
}

module.exports = { setup }
