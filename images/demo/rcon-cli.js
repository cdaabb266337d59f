#!/usr/local/bin/node
'use strict'
/*
 * rcon-cli COMMAND…: runs a console command of the server in this container
 * and prints its answer, as the tool of the same name in the image
 * itzg/minecraft-server does. RCON_PORT and RCON_PASSWORD as the server's.
 */

const net = require('net')
const { packet } = require('./lib/rcon')

const LOGIN = 3
const COMMAND = 2
const END = 100
const command = process.argv.slice(2).join(' ')
const socket = net.connect(Number(process.env.RCON_PORT) || 25575, '127.0.0.1')
let buffer = Buffer.alloc(0)

function fail (message) {
  console.error(`rcon-cli: ${message}`)
  process.exit(1)
}

/* An answer has no end: it is where the answer to a packet of no known type
 * begins. One packet a time, the server reads no two at once. */
function receive (id, body) {
  if (id === -1) fail('wrong password')
  if (id === 1) return socket.write(packet(2, COMMAND, command))
  if (id === 2) {
    if (!receive.asked) socket.write(packet(3, END, ''))
    receive.asked = true
    return process.stdout.write(body)
  }
  process.stdout.write('\n')
  socket.end()
}

if (command === '') fail('usage: rcon-cli COMMAND…')
socket.on('connect', () => socket.write(packet(1, LOGIN, process.env.RCON_PASSWORD ?? '')))
socket.on('error', err => fail(err.message))
socket.on('data', data => {
  buffer = Buffer.concat([buffer, data])
  while (buffer.length >= 4 && buffer.length >= 4 + buffer.readInt32LE(0)) {
    const end = 4 + buffer.readInt32LE(0)
    const [id, body] = [buffer.readInt32LE(4), buffer.toString('utf8', 12, end - 2)]
    buffer = buffer.subarray(end)
    receive(id, body)
  }
})
