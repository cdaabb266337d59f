// A player. Joins, says what it sees on stdout as JSON lines, and does what
// stdin tells it:
//
//   node bot.mjs HOST PORT NAME [VERSION]
//
//   in:   chat TEXT | block X Y Z | quit
//   out:  {"event":"spawn"} {"event":"chat","text":…} {"event":"block","name":…}
//         {"event":"kicked","reason":…} {"event":"error","message":…} {"event":"end"}

import readline from 'node:readline';
import mineflayer from 'mineflayer';

const [host, port, username, version = '1.20.4'] = process.argv.slice(2);
const say = (event, more = {}) => console.log(JSON.stringify({ event, ...more }));

/** The text of a chat component in any of its forms. */
function plain(v) {
    if (v === null || v === undefined) return '';
    if (typeof v !== 'object') return String(v);
    if (Array.isArray(v)) return v.map(plain).join('');
    if ('type' in v && 'value' in v) return plain(v.value);
    return plain(v.text ?? v['']) + (v.translate ? plain(v.translate) : '') + plain(v.extra) + plain(v.with);
}

const bot = mineflayer.createBot({ host, port: Number(port), username, version, auth: 'offline', hideErrors: true });

bot.on('spawn', () => say('spawn'));
bot.on('messagestr', (text) => say('chat', { text }));
bot.on('kicked', (reason) => say('kicked', { reason: plain(typeof reason === 'string' && reason.startsWith('{') ? JSON.parse(reason) : reason) }));
bot.on('error', (error) => say('error', { message: error.message }));
bot.on('end', () => {
    say('end');
    process.exit(0);
});

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const [verb, ...rest] = line.split(' ');

    if (verb === 'chat') {
        bot.chat(rest.join(' '));
    } else if (verb === 'block') {
        const at = bot.entity.position.clone();
        [at.x, at.y, at.z] = rest.map(Number);
        await bot.waitForChunksToLoad();
        say('block', { name: bot.blockAt(at)?.name ?? 'none' });
    } else {
        bot.quit();
    }
});
