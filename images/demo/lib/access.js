'use strict'
/*
 * The commands that say who may join and who may do what, and those that
 * change the rules of a running game, with vanilla's answers.
 */

const net = require('net')
const { address, offlineUuid } = require('./lists')

const GAME_MODES = ['survival', 'creative', 'adventure', 'spectator']
const DIFFICULTIES = ['peaceful', 'easy', 'normal', 'hard']
const REASON = 'Banned by an operator.'

const capital = text => text[0].toUpperCase() + text.slice(1)

class Access {
  constructor (terminal, lists) {
    this.terminal = terminal
    this.serv = terminal.serv
    this.lists = lists
    this.addCommands()
  }

  /* The player's name and UUID, of one who plays as he writes himself. */
  profile (name) {
    const player = this.terminal.find(name)
    return player ? { uuid: player.uuid, name: player.username } : { uuid: offlineUuid(name), name }
  }

  ban (reason, who) {
    const created = new Date().toISOString().replace('T', ' ').replace(/\..*/, ' +0000')
    return { created, source: who, expires: 'forever', reason }
  }

  /* Ends the game of everybody who may not play any more. */
  kick (mayNot, reason) {
    this.serv.players.filter(mayNot).forEach(player => player._client.end(reason))
  }

  op (name, op, ctx) {
    const profile = this.profile(name)
    const player = this.terminal.find(name)
    const changed = op
      ? this.lists.operators.add({ ...profile, level: 4, bypassesPlayerLimit: false })
      : this.lists.operators.remove(name)
    if (player) player.op = op
    if (!changed) return `Nothing changed. The player ${op ? 'already is' : 'is not'} an operator`
    return this.terminal.done(ctx, `Made ${profile.name} ${op ? 'a' : 'no longer a'} server operator`)
  }

  whitelist ([, what, name], ctx) {
    const { lists, terminal } = this
    switch (what) {
      case 'list': {
        const names = lists.allowed.names()
        return names.length ? `There are ${names.length} whitelisted player(s): ${names.join(', ')}` : 'There are no whitelisted players'
      }
      case 'reload':
        return terminal.done(ctx, 'Reloaded the whitelist')
      case 'on':
      case 'off':
        if (lists.enforced === (what === 'on')) return `Whitelist is already turned ${what}`
        lists.enforced = what === 'on'
        this.enforce()
        return terminal.done(ctx, `Whitelist is now turned ${what}`)
      case 'add':
        if (!lists.allowed.add(this.profile(name))) return 'Player is already whitelisted'
        return terminal.done(ctx, `Added ${this.profile(name).name} to the whitelist`)
      default:
        if (!lists.allowed.remove(name)) return 'Player is not whitelisted'
        this.enforce()
        return terminal.done(ctx, `Removed ${this.profile(name).name} from the whitelist`)
    }
  }

  enforce () {
    const { enforced, allowed, operators } = this.lists
    if (enforced) {
      this.kick(({ username }) => !allowed.has(username) && !operators.has(username), 'You are not white-listed on this server!')
    }
  }

  banPlayer (name, reason, ctx) {
    const profile = this.profile(name)
    if (!this.lists.banned.add({ ...profile, ...this.ban(reason, this.terminal.who(ctx)) })) {
      return 'Nothing changed. The player is already banned'
    }
    this.kick(player => player === this.terminal.find(name), 'You are banned from this server')
    return this.terminal.done(ctx, `Banned ${profile.name}: ${reason}`)
  }

  pardon (name, ctx) {
    if (!this.lists.banned.remove(name)) return "Nothing changed. The player isn't banned"
    return this.terminal.done(ctx, `Unbanned ${name}`)
  }

  /* An address, or the one that a player has. */
  banIp (target, reason, ctx) {
    const ip = net.isIP(target) ? target : address(this.terminal.find(target)?._client.socket)
    if (!ip) return 'Invalid IP address or unknown player'
    if (!this.lists.bannedIps.add({ ip, ...this.ban(reason, this.terminal.who(ctx)) })) {
      return 'Nothing changed. That IP is already banned'
    }
    this.kick(player => address(player._client.socket) === ip, 'You have been IP banned from this server')
    return this.terminal.done(ctx, `Banned IP ${ip}: ${reason}`)
  }

  pardonIp (ip, ctx) {
    if (!net.isIP(ip)) return 'Invalid IP address'
    if (!this.lists.bannedIps.remove(ip)) return "Nothing changed. That IP isn't banned"
    return this.terminal.done(ctx, `Unbanned IP ${ip}`)
  }

  banlist () {
    const names = [...this.lists.banned.names(), ...this.lists.bannedIps.names()]
    return names.length ? `There are ${names.length} ban(s): ${names.join(', ')}` : 'There are no bans'
  }

  difficulty (level, ctx) {
    const { serv } = this
    const name = DIFFICULTIES[level]
    if (serv.difficulty === level) return `The difficulty did not change; it is already set to ${name}`
    serv.difficulty = level
    serv._writeAll('difficulty', { difficulty: level, difficultyLocked: false })
    return this.terminal.done(ctx, `The difficulty has been set to ${capital(name)}`)
  }

  gameMode (mode, ctx) {
    this.serv.gameMode = mode
    return this.terminal.done(ctx, `The default game mode is now ${capital(GAME_MODES[mode])} Mode`)
  }

  addCommands () {
    const name = text => /^[A-Za-z0-9_.]{1,17}$/.test(text.trim()) && text.trim()
    const withReason = text => /^(\S+) *(.*)$/.exec(text.trim()) || false
    /* A command gets what stands for "false" as it was typed: an object does. */
    const choice = names => text => {
      const i = names.indexOf(text.trim().toLowerCase())
      return i >= 0 && { i }
    }
    const add = (base, usage, info, parse, action) =>
      this.serv.commands.add({ base, usage, info, op: true, parse, action })

    add('op', '/op <player>', 'Makes a player an operator', name, (player, ctx) => this.op(player, true, ctx))
    add('deop', '/deop <player>', 'Makes a player no operator', name, (player, ctx) => this.op(player, false, ctx))
    add('whitelist', '/whitelist (add|remove) <player>, /whitelist (on|off|list|reload)', 'Who may join',
      text => /^(?:(on|off|list|reload)|(add|remove) +([A-Za-z0-9_.]{1,17}))$/.exec(text.trim())?.filter(s => s !== undefined) || false,
      (match, ctx) => this.whitelist(match, ctx))
    add('ban', '/ban <player> [reason]', 'Bans a player', withReason, ([, player, reason], ctx) => this.banPlayer(player, reason || REASON, ctx))
    add('pardon', '/pardon <player>', 'Takes a ban back', name, (player, ctx) => this.pardon(player, ctx))
    add('ban-ip', '/ban-ip <address|player> [reason]', 'Bans an address', withReason, ([, ip, reason], ctx) => this.banIp(ip, reason || REASON, ctx))
    add('pardon-ip', '/pardon-ip <address>', 'Takes the ban of an address back', text => text.trim() || false, (ip, ctx) => this.pardonIp(ip, ctx))
    add('banlist', '/banlist', 'Lists the bans', undefined, () => this.banlist())
    add('difficulty', '/difficulty <peaceful|easy|normal|hard>', 'Sets the difficulty', choice(DIFFICULTIES), ({ i }, ctx) => this.difficulty(i, ctx))
    add('defaultgamemode', '/defaultgamemode <mode>', 'What new players begin with', choice(GAME_MODES), ({ i }, ctx) => this.gameMode(i, ctx))
  }
}

module.exports = { Access, GAME_MODES, DIFFICULTIES }
