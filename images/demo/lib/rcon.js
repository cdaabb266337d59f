'use strict'
/*
 * RCON as the vanilla server speaks it: a read that is not exactly one packet
 * ends the connection, a wrong password answers id -1 and keeps it, an answer
 * is cut into packets of 4096 characters without an end mark.
 */

const crypto = require('crypto')
const net = require('net')

const RESPONSE = 0
const COMMAND = 2
const LOGIN = 3
const READ_MAX = 1460
const BODY_MAX = 4096
const CLIENTS_MAX = 16
const LOGIN_TIMEOUT = 30000

function packet (id, type, body) {
  const text = Buffer.from(body, 'utf8')
  const buf = Buffer.alloc(14 + text.length)
  buf.writeInt32LE(10 + text.length, 0)
  buf.writeInt32LE(id, 4)
  buf.writeInt32LE(type, 8)
  text.copy(buf, 12)
  return buf
}

/* {id, type, body}, or null when the bytes are not exactly one packet. */
function decode (data) {
  if (data.length < 14 || data.length > READ_MAX) return null
  if (data.readInt32LE(0) !== data.length - 4) return null
  return {
    id: data.readInt32LE(4),
    type: data.readInt32LE(8),
    body: data.toString('utf8', 12, data.length - 2)
  }
}

function samePassword (given, wanted) {
  const hash = text => crypto.createHash('sha256').update(text).digest()
  return wanted !== '' && crypto.timingSafeEqual(hash(given), hash(wanted))
}

function respond (socket, id, output) {
  const chars = Array.from(output)
  do {
    socket.write(packet(id, RESPONSE, chars.splice(0, BODY_MAX).join('')))
  } while (chars.length > 0)
}

/* Serves one connection; run(line) resolves to the output of a command. */
function serve (socket, password, run) {
  let authenticated = false
  let queue = Promise.resolve()
  socket.setNoDelay(true)
  socket.setTimeout(LOGIN_TIMEOUT, () => { if (!authenticated) socket.destroy() })
  socket.on('error', () => socket.destroy())
  socket.on('data', data => {
    const p = decode(data)
    if (p === null) return socket.destroy()
    if (p.type === LOGIN) {
      authenticated = samePassword(p.body, password)
      socket.write(packet(authenticated ? p.id : -1, COMMAND, ''))
    } else if (p.type !== COMMAND) {
      respond(socket, p.id, `Unknown request ${(p.type >>> 0).toString(16)}`)
    } else if (!authenticated) {
      socket.write(packet(-1, COMMAND, ''))
    } else {
      queue = queue.then(() => run(p.body)).then(output => {
        if (!socket.destroyed) respond(socket, p.id, output)
      })
    }
  })
}

/* Listens; resolves to the server once it does. */
function listen ({ host, port, password, run }) {
  const server = net.createServer(socket => serve(socket, password, run))
  server.maxConnections = CLIENTS_MAX
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve(server))
  })
}

module.exports = { listen, packet, decode }
