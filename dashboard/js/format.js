/**
 * Words and numbers for people. Pure functions, no DOM.
 */

/** @typedef {'good'|'busy'|'idle'|'warn'|'bad'} Tone */

const UNITS = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40,
                k: 1e3, M: 1e6, G: 1e9, T: 1e12, '': 1 };

/**
 * A Kubernetes quantity in bytes ("1536Mi"), or NaN.
 *
 * @param {string} text
 */
export function parseQuantity(text) {
    const match = /^(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T|)$/.exec(text ?? '');

    return match === null ? NaN : Number(match[1]) * UNITS[match[2]];
}

/**
 * "1.5 GB": binary units under their everyday names, as hosters write them.
 *
 * @param {number} bytes
 */
export function formatBytes(bytes) {
    if (!Number.isFinite(bytes)) {
        return '–';
    }

    const names = ['B', 'KB', 'MB', 'GB', 'TB'];
    let n = bytes;
    let i = 0;

    while (n >= 1024 && i < names.length - 1) {
        n /= 1024;
        i++;
    }

    return `${n >= 100 || Number.isInteger(n) ? Math.round(n) : n.toFixed(1)} ${names[i]}`;
}

/**
 * @param {string} quantity
 */
export function formatQuantity(quantity) {
    const bytes = parseQuantity(quantity);

    return Number.isNaN(bytes) ? (quantity ?? '–') : formatBytes(bytes);
}

/**
 * "2 h 5 min": the two greatest units that say something.
 *
 * @param {number} ms
 */
export function formatDuration(ms) {
    const s = Math.max(0, Math.floor(ms / 1000));
    const parts = [[Math.floor(s / 86400), 'd'], [Math.floor(s / 3600) % 24, 'h'],
                   [Math.floor(s / 60) % 60, 'min'], [s % 60, 's']];
    const first = parts.findIndex(([n]) => n > 0);

    if (first === -1) {
        return '0 s';
    }

    return parts.slice(first, first + 2)
        .filter(([n], i) => i === 0 || n > 0)
        .map(([n, unit]) => `${n} ${unit}`)
        .join(' ');
}

/**
 * @param {string} iso
 * @param {number} now
 */
export function formatAgo(iso, now) {
    const then = Date.parse(iso);

    if (Number.isNaN(then)) {
        return '–';
    }

    const ms = now - then;

    return ms < 5000 ? 'just now' : `${formatDuration(ms).split(' ').slice(0, 2).join(' ')} ago`;
}

/**
 * @param {string} iso
 */
export function formatDateTime(iso) {
    const then = Date.parse(iso);

    return Number.isNaN(then) ? '–' : new Date(then).toLocaleString(undefined,
        { dateStyle: 'medium', timeStyle: 'short' });
}

/**
 * Local "12:34:56" of a log line.
 *
 * @param {string} iso
 */
export function formatClock(iso) {
    const then = Date.parse(iso);

    if (Number.isNaN(then)) {
        return '--:--:--';
    }

    const d = new Date(then);

    return [d.getHours(), d.getMinutes(), d.getSeconds()]
        .map((n) => String(n).padStart(2, '0')).join(':');
}

/**
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/**
 * Where players connect: "host:port", or just the host when the port is the
 * one every client assumes.
 *
 * @param {any} status
 * @returns {string} "" while unknown
 */
export function formatAddress(status) {
    const address = status?.address;
    const host = address?.hostname || address?.host;

    if (!host) {
        return '';
    }

    const name = host.includes(':') ? `[${host}]` : host;

    return !address.port || address.port === 25565 ? name : `${name}:${address.port}`;
}

/** @type {Record<string, {label: string, tone: Tone}>} */
const STATES = {
    Pending: { label: 'Preparing', tone: 'busy' },
    Starting: { label: 'Starting', tone: 'busy' },
    Running: { label: 'Running', tone: 'good' },
    Stopping: { label: 'Stopping', tone: 'busy' },
    Stopped: { label: 'Stopped', tone: 'idle' },
    Hibernated: { label: 'Asleep', tone: 'idle' },
    Waking: { label: 'Waking up', tone: 'busy' },
    Failed: { label: 'Failed', tone: 'bad' },
    Deleting: { label: 'Deleting', tone: 'busy' },
};

/**
 * What to call the state of a server, and how serious it is.
 *
 * @param {any} server   the document of the API
 * @returns {{state: string, label: string, tone: Tone}}
 */
export function describeState(server) {
    const state = server.deletedAt ? 'Deleting' : server.status?.state ?? 'Pending';
    const known = STATES[state] ?? { label: state, tone: 'warn' };

    if (known.tone !== 'bad' && condition(server, 'Degraded')?.status === 'True') {
        return { state, label: known.label, tone: 'warn' };
    }

    return { state, ...known };
}

/**
 * @param {any} server
 * @param {string} type
 */
export function condition(server, type) {
    return server.status?.conditions?.find((c) => c.type === type);
}

/* type → status → [tone, sentence]; an absent sentence is not worth saying. */
const CONDITIONS = {
    Ready: {
        True: ['good', 'Players can join.'],
        False: ['idle', 'Players cannot join right now.'],
    },
    Progressing: {
        True: ['busy', 'A change is being carried out.'],
    },
    ConfigInSync: {
        True: ['good', 'The running server uses the current settings.'],
        False: ['warn', 'The running server does not use the current settings yet.'],
    },
    RestartPending: {
        True: ['warn', 'New settings are applied once the last player has left, or when you restart.'],
    },
    AddonsResolved: {
        False: ['bad', 'An add-on could not be found or checked.'],
    },
    StorageReady: {
        True: ['good', 'The world’s storage is in place.'],
        False: ['bad', 'The world’s storage is not available.'],
    },
    BackupHealthy: {
        True: ['good', 'Backups are healthy.'],
        False: ['warn', 'The last backup did not succeed.'],
    },
    Degraded: {
        True: ['bad', 'Something is wrong with this server.'],
    },
};

/* Reasons that say more than their condition's sentence: type, reason → the
 * same pair, or null where there is nothing to say. */
const REASONS = {
    'Ready Starting': ['busy', 'It is starting. Players can join in a moment.'],
    'Ready Unresponsive': ['warn', 'The server runs but does not answer.'],
    'ConfigInSync NoPod': null,
    'ConfigInSync RestartPending': null,    /* RestartPending says it */
    'ConfigInSync Restarting': ['busy', 'New settings are being applied.'],
    'StorageReady NoVolume': ['busy', 'There is no storage for the world yet.'],
    'Degraded EngineUnavailable': ['bad', 'The container engine does not answer. Nothing is lost; this resolves itself once it is back.'],
    'Degraded EngineBusy': ['bad', 'The container engine is busy. It is tried again.'],
    'Degraded EngineError': ['bad', 'The container engine refused to run this server.'],
    'Degraded ImageMissing': ['bad', 'There is no image for this software and version.'],
    'Degraded ImagePullFailed': ['bad', 'The software’s image could not be fetched. Check type and version.'],
    'Degraded PortInUse': ['bad', 'The game port is in use by something else on the host.'],
    'Degraded PortsExhausted': ['bad', 'No game port is free on the host.'],
    'Degraded DiskFull': ['bad', 'The host’s disk is full.'],
    'Degraded StartFailed': ['bad', 'The server could not be started.'],
    'Degraded StartTimeout': ['bad', 'The server did not become ready in time.'],
    'Degraded CrashLoopBackOff': ['bad', 'The server keeps crashing. It is started again after growing pauses.'],
    'Degraded OutOfMemory': ['bad', 'The server used more memory than it has. Give it more memory or lower the view distance.'],
    'Degraded StorageMissing': ['bad', 'The world’s storage has disappeared. The server is not started, so that no empty world replaces it.'],
    'Degraded StorageInvalid': ['bad', 'The world’s storage cannot be used.'],
};

/**
 * The conditions of a server in sentences, the serious ones first.
 *
 * @param {any} server
 * @returns {{type: string, tone: Tone, text: string, detail: string, since: string}[]}
 */
export function describeConditions(server) {
    const rank = { bad: 0, warn: 1, busy: 2, idle: 3, good: 4 };
    const out = [];

    for (const c of server.status?.conditions ?? []) {
        const reason = `${c.type} ${c.reason}`;
        const known = reason in REASONS ? REASONS[reason] : CONDITIONS[c.type]?.[c.status];

        if (known === undefined || known === null) {
            continue;
        }

        const [tone, text] = known;
        const detail = ['bad', 'warn'].includes(tone) && c.type !== 'RestartPending' ? c.message ?? '' : '';

        out.push({ type: c.type, tone, text, detail, since: c.lastTransitionTime ?? '' });
    }

    return out.sort((a, b) => rank[a.tone] - rank[b.tone]);
}

/**
 * The one sentence that matters now, for the list.
 *
 * @param {any} server
 * @returns {string} "" when all is as it should be
 */
export function headline(server) {
    if (describeState(server).state === 'Deleting') {
        return '';
    }

    const serious = describeConditions(server).find((c) => c.tone === 'bad')
        ?? describeConditions(server).find((c) => c.type === 'RestartPending');

    return serious?.text ?? (server.status?.state === 'Failed' ? server.status?.message ?? '' : '');
}

/**
 * Which of start, stop and restart make sense.
 *
 * @param {any} server
 */
export function possibleActions(server) {
    const { state } = describeState(server);
    const wanted = server.spec?.runPolicy !== 'Stopped';

    if (state === 'Deleting') {
        return { start: false, stop: false, restart: false };
    }

    return { start: !wanted, stop: wanted, restart: wanted && state !== 'Stopping' };
}

const SOFTWARE = { vanilla: 'Vanilla', paper: 'Paper', purpur: 'Purpur', folia: 'Folia',
                   fabric: 'Fabric', forge: 'Forge', neoforge: 'NeoForge', quilt: 'Quilt',
                   velocity: 'Velocity', custom: 'Custom image', demo: 'Demo' };

/**
 * "Paper 1.21.4".
 *
 * @param {any} server
 */
export function formatSoftware(server) {
    const software = server.spec?.software ?? {};
    const name = SOFTWARE[software.type] ?? software.type ?? 'Unknown';
    const version = server.status?.version || software.version;

    return version ? `${name} ${version}` : name;
}
