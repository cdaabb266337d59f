/**
 * The fields of a server's specification that the dashboard shows, by JSON
 * pointer, and the two conversions between a form and a document. No DOM.
 */

/**
 * @typedef {object} FieldSpec
 * @property {string} pointer
 * @property {string} label
 * @property {'text'|'number'|'select'|'switch'|'motd'} kind
 * @property {string} [hint]
 * @property {any} [initial]      the schema's default
 * @property {[string, string][]} [options]   value and label
 * @property {string[]} [suggestions]
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [maxLength]
 * @property {string} [placeholder]
 */

export const EULA_URL = 'https://aka.ms/MinecraftEULA';

/** Kinds of server, as the create form offers them. */
export const SOFTWARE = [
    { type: 'demo', label: 'Demo', text: 'Small, ready in seconds. To look around.', eula: false },
    { type: 'paper', label: 'Paper', text: 'Fast, with plugins. The usual choice.', eula: true },
    { type: 'vanilla', label: 'Vanilla', text: 'Mojang’s own server, unchanged.', eula: true },
    { type: 'fabric', label: 'Fabric', text: 'Light mod loader.', eula: true },
    { type: 'forge', label: 'Forge', text: 'The classic for big mod packs.', eula: true },
    { type: 'neoforge', label: 'NeoForge', text: 'Forge’s successor.', eula: true },
    { type: 'purpur', label: 'Purpur', text: 'Paper with more switches.', eula: true },
    { type: 'folia', label: 'Folia', text: 'Paper for very many players.', eula: true },
    { type: 'quilt', label: 'Quilt', text: 'Fabric’s community fork.', eula: true },
];

const VERSIONS = ['1.21.4', '1.21.1', '1.20.6', '1.20.4', '1.20.1', '1.19.4', '1.18.2', '1.16.5', '1.12.2', '1.8.8'];

/** @type {Record<string, FieldSpec>} */
export const FIELDS = {
    name: { pointer: '/name', label: 'Name', kind: 'text', maxLength: 63, placeholder: 'survival',
            hint: 'Lower-case letters, digits and dashes. It cannot be changed later.' },
    displayName: { pointer: '/spec/displayName', label: 'Display name', kind: 'text', maxLength: 64,
                   placeholder: 'optional', hint: 'What people see in this list.' },
    version: { pointer: '/spec/software/version', label: 'Version', kind: 'text', maxLength: 32,
               suggestions: VERSIONS, placeholder: 'latest', initial: '' },
    memory: { pointer: '/spec/resources/memory', label: 'Memory', kind: 'select', initial: '2Gi',
              options: [['512Mi', '512 MB'], ['1Gi', '1 GB'], ['2Gi', '2 GB'], ['4Gi', '4 GB'],
                        ['6Gi', '6 GB'], ['8Gi', '8 GB'], ['12Gi', '12 GB'], ['16Gi', '16 GB']] },
    motd: { pointer: '/spec/properties/motd', label: 'Message of the day', kind: 'motd', maxLength: 256,
            initial: 'A Minecraft Server',
            hint: 'Shown in the multiplayer list, at most two lines. Colours with § codes: §a green, §6 gold, §l bold, §r plain.' },
    maxPlayers: { pointer: '/spec/properties/maxPlayers', label: 'Player slots', kind: 'number',
                  min: 1, max: 10000, initial: 20 },
    gameMode: { pointer: '/spec/properties/gameMode', label: 'Game mode', kind: 'select', initial: 'survival',
                options: [['survival', 'Survival'], ['creative', 'Creative'], ['adventure', 'Adventure'],
                          ['spectator', 'Spectator']] },
    difficulty: { pointer: '/spec/properties/difficulty', label: 'Difficulty', kind: 'select', initial: 'easy',
                  options: [['peaceful', 'Peaceful'], ['easy', 'Easy'], ['normal', 'Normal'], ['hard', 'Hard']] },
    viewDistance: { pointer: '/spec/properties/viewDistance', label: 'View distance', kind: 'number',
                    min: 2, max: 32, initial: 10, hint: 'In chunks. Less is faster.' },
    spawnProtection: { pointer: '/spec/properties/spawnProtection', label: 'Spawn protection', kind: 'number',
                       min: 0, max: 10000, initial: 16, hint: 'Blocks around the spawn where only operators build.' },
    levelSeed: { pointer: '/spec/properties/levelSeed', label: 'World seed', kind: 'text', maxLength: 128,
                 placeholder: 'random', initial: '' },
    onlineMode: { pointer: '/spec/properties/onlineMode', label: 'Check accounts with Mojang', kind: 'switch',
                  initial: true, hint: 'Off: anybody may join under any name.' },
    pvp: { pointer: '/spec/properties/pvp', label: 'Player against player', kind: 'switch', initial: true },
    hardcore: { pointer: '/spec/properties/hardcore', label: 'Hardcore', kind: 'switch', initial: false,
                hint: 'Players who die become spectators.' },
    allowFlight: { pointer: '/spec/properties/allowFlight', label: 'Allow flight', kind: 'switch', initial: false,
                   hint: 'Players who seem to fly are not kicked.' },
    commandBlocks: { pointer: '/spec/properties/commandBlocks', label: 'Command blocks', kind: 'switch', initial: false },
    announce: { pointer: '/spec/shutdown/announceSeconds', label: 'Warn players before a stop', kind: 'number',
                min: 0, max: 600, initial: 0, hint: 'Seconds; 0: no warning.' },
    retention: { pointer: '/spec/storage/retention', label: 'When the server is deleted', kind: 'select',
                 initial: 'Retain', options: [['Retain', 'Keep the world'], ['Delete', 'Delete the world too']] },
};

/**
 * The value at a JSON pointer, or undefined.
 *
 * @param {any} document
 * @param {string} pointer
 */
export function valueAt(document, pointer) {
    return pointer.split('/').slice(1)
        .reduce((value, key) => value?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], document);
}

/**
 * A document with these values and nothing else. As a merge patch it changes
 * just them; undefined is left out, null takes a member away.
 *
 * @param {Iterable<[string, any]>} values   pointer and value
 */
export function documentOf(values) {
    const document = {};

    for (const [pointer, value] of values) {
        if (value === undefined) {
            continue;
        }

        const keys = pointer.split('/').slice(1);
        const last = keys.pop();
        let place = document;

        for (const key of keys) {
            place = place[key] ??= {};
        }

        place[last] = value;
    }

    return document;
}

/**
 * Finds the field that a fault belongs to: its own, or the closest one above.
 *
 * @template T
 * @param {string} pointer
 * @param {Map<string, T>} fields
 * @returns {T|undefined}
 */
export function fieldFor(pointer, fields) {
    for (let p = pointer; p !== ''; p = p.slice(0, p.lastIndexOf('/'))) {
        const field = fields.get(p);

        if (field !== undefined) {
            return field;
        }
    }

    return undefined;
}

/**
 * A name made from free text: "My Server!" → "my-server".
 *
 * @param {string} text
 */
export function toName(text) {
    return text.toLowerCase().normalize('NFKD').replace(/[\u0300-\u036f]/g, '')
        .replace(/[^a-z0-9]+/g, '-').replace(/^-+/, '').slice(0, 63);
}
