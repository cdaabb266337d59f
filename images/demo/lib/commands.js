'use strict'
/*
 * The console: what stdin, RCON and operators can ask for. Commands run by the
 * library's own handler; those it lacks, and those whose answers differ from
 * vanilla's, are added here.
 */

const { AsyncLocalStorage } = require('async_hooks')
const { Access } = require('./access')
const log = require('./log')

/* Lines that the library prints about things the log already tells. */
const REDUNDANT = new Set(['Server is closed.', 'Position written, spawning player...'])

class Console {
  /* stop() ends the server; lists are lists.load()'s. */
  constructor (serv, { lists, stop, seed }) {
    this.serv = serv
    this.stop = stop
    this.seed = seed
    this.context = new AsyncLocalStorage()
    /* "constructor" is no command. */
    Object.setPrototypeOf(serv.commands.hash, null)
    this.redirect()
    this.addCommands()
    this.access = new Access(this, lists)
  }

  /* What a command prints is its answer: to RCON when it came from there,
   * else to the log. */
  redirect () {
    const { serv } = this
    const print = level => message => {
      const text = log.plain(message)
      const run = this.context.getStore()
      if (REDUNDANT.has(text)) return
      if (run) run.output.push(text)
      else log[level](text)
    }
    serv.log = () => {}
    serv.info = print('info')
    serv.warn = print('warn')
    serv.err = print('warn')
  }

  /* Runs one line as the server itself and resolves to its output. */
  async run (line, source) {
    const command = line.trim().replace(/^\//, '')
    const run = { source, output: [] }
    if (command === '') return ''
    await this.context.run(run, async () => {
      try {
        const answer = await this.serv.commands.use(command)
        if (answer) run.output.push(log.plain(answer))
      } catch (err) {
        if (err.userError && err.message === 'Command not found') {
          run.output.push('Unknown or incomplete command, see below for error', `${log.plain(command)}<--[HERE]`)
        } else if (err.userError) {
          run.output.push(log.plain(err.message))
        } else {
          log.error(`Command "${command}" failed`, err)
          run.output.push('An unexpected error occurred trying to execute that command')
        }
      }
    })
    return run.output.join('\n')
  }

  /* Lines of stdin; answers go to the log. */
  async line (text) {
    const output = await this.run(text, 'Server')
    if (output !== '') output.split('\n').forEach(line => log.info(line))
  }

  /* Who gives the command: an operator's name, "Rcon" or "Server". */
  who (ctx) {
    return ctx.player ? ctx.player.username : (this.context.getStore()?.source ?? 'Server')
  }

  /* Tells the log what a command did when nobody sees its answer there. */
  done (ctx, text) {
    const who = this.who(ctx)
    if (who !== 'Server') log.info(`[${who}: ${text}]`)
    return text
  }

  find (name) {
    return this.serv.players.find(p => p.username.toLowerCase() === name.toLowerCase())
  }

  /* Before NBT chat "&" begins a colour. */
  broadcast (text) {
    const nbt = this.serv.supportFeature('chatPacketsUseNbtComponents')
    this.serv.broadcast(nbt ? text : text.replace(/&/g, '&&'))
  }

  list () {
    const { players, _server } = this.serv
    const names = players.map(p => p.username).join(', ')
    return `There are ${players.length} of a max of ${_server.maxPlayers} players online: ${names}`
  }

  kick (name, reason, ctx) {
    const player = this.find(name)
    if (!player) return 'No player was found'
    player._client.end(reason)
    return this.done(ctx, `Kicked ${player.username}: ${reason}`)
  }

  async save (ctx) {
    await Promise.all(this.serv.players.map(player => player.save()))
    await this.serv.overworld.waitSaving()
    return this.done(ctx, 'Saved the game')
  }

  say (text, ctx) {
    const message = `[${this.who(ctx)}] ${log.plain(text)}`
    this.broadcast(message)
    log.info(message)
  }

  addCommands () {
    const { serv } = this
    const add = (base, usage, info, op, parse, action) =>
      serv.commands.add({ base, usage, info, op, parse, action })

    add('list', '/list', 'Lists the players', false, undefined, () => this.list())
    add('seed', '/seed', 'Displays the seed of the world', true, undefined, () => `Seed: [${this.seed()}]`)
    add('say', '/say <message>', 'Broadcasts a message', true, text => text.trim() !== '' && text,
      (text, ctx) => this.say(text, ctx))
    add('save-all', '/save-all', 'Saves the world', true, undefined, (_, ctx) => this.save(ctx))
    add('save-off', '/save-off', 'Turns saving off', true, undefined, (_, ctx) => {
      serv.overworld.stopSaving()
      return this.done(ctx, 'Automatic saving is now disabled')
    })
    add('save-on', '/save-on', 'Turns saving on', true, undefined, (_, ctx) => {
      serv.overworld.stopSaving()
      serv.overworld.startSaving()
      return this.done(ctx, 'Automatic saving is now enabled')
    })
    add('kick', '/kick <player> [reason]', 'Kicks a player', true, text => /^(\S+) *(.*)$/.exec(text) || false,
      ([, player, reason], ctx) => this.kick(player, reason || 'Kicked by an operator', ctx))
    add('stop', '/stop', 'Stops the server', true, undefined, (_, ctx) => {
      /* The answer goes first. */
      setTimeout(this.stop, 20)
      return this.who(ctx) === 'Server' ? '' : this.done(ctx, 'Stopping the server')
    })
  }
}

module.exports = { Console }
