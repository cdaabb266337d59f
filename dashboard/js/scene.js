/** The picture beside the sign-in form: a small landscape of blocks. */

import { svg } from './dom.js';

const WIDTH = 14;
const HEIGHT = 18;
const PIXELS = 6;               /* of one block, in each direction */

/* Blocks and their five shades, most frequent first. */
const BLOCKS = {
    grass: ['#7a5a3c', '#6d4f34', '#866546', '#7a5a3c', '#6d4f34'],
    dirt: ['#7a5a3c', '#6d4f34', '#866546', '#614630', '#937252'],
    stone: ['#787c7b', '#6e7271', '#828685', '#787c7b', '#666a69'],
    coal: ['#787c7b', '#6e7271', '#2b2e2e', '#787c7b', '#3a3d3d'],
    iron: ['#787c7b', '#6e7271', '#d0a98c', '#787c7b', '#c39a7b'],
    deep: ['#46494d', '#3d4044', '#4e5156', '#36393d', '#46494d'],
    diamond: ['#46494d', '#3d4044', '#5ad6cf', '#36393d', '#8be8e2'],
    redstone: ['#46494d', '#3d4044', '#d0342c', '#36393d', '#a52822'],
    log: ['#5f4a2c', '#54401f', '#6b5434', '#54401f', '#4a381a'],
    leaves: ['#3f7d2e', '#356c26', '#4c8f39', '#2d5e20', '#58a043'],
    sand: ['#dccb98', '#d2c08b', '#e5d6a8', '#cbb980', '#dccb98'],
    water: ['#3d6fc4', '#3866b8', '#4579d0', '#3866b8', '#3d6fc4'],
};

const GRASS = ['#6fae4b', '#63a041', '#7cbd57'];

/* Height of the ground, and of the deep stone, in each column. */
const GROUND = [9, 9, 10, 10, 10, 9, 8, 7, 7, 7, 8, 9, 9, 10];
const DEEP = [4, 4, 3, 3, 4, 4, 3, 3, 3, 4, 4, 3, 3, 4];
const SEA = 8;
const ORES = { '2,6': 'coal', '3,6': 'coal', '10,5': 'iron', '5,5': 'iron', '4,2': 'diamond', '5,2': 'diamond',
               '11,1': 'redstone', '8,4': 'coal', '0,3': 'redstone', '12,6': 'coal', '1,1': 'diamond' };
const TREES = [2, 12];

/** A small, repeatable source of numbers. */
function numbers(seed) {
    let state = seed;

    return (n) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return (state >>> 16) % n;
    };
}

/**
 * What is at a place; null: air.
 *
 * @param {number} x
 * @param {number} y   from below
 */
function blockAt(x, y) {
    const ground = GROUND[x];

    for (const tree of TREES) {
        const foot = GROUND[tree];

        if (x === tree && y > ground && y <= foot + 3) {
            return y <= foot + 2 ? 'log' : 'leaves';
        }

        if (Math.abs(x - tree) <= 1 && y >= foot + 3 && y <= foot + 4) {
            return 'leaves';
        }

        if (x === tree && y === foot + 5) {
            return 'leaves';
        }
    }

    if (y > ground) {
        return y <= SEA ? 'water' : null;
    }

    if (y === ground) {
        return ground < SEA ? 'sand' : 'grass';
    }

    if (y >= ground - 2) {
        return ground < SEA ? 'sand' : 'dirt';
    }

    return ORES[`${x},${y}`] ?? (y < DEEP[x] ? 'deep' : 'stone');
}

/**
 * The pixels of one block as rectangles, runs of one colour in one.
 *
 * @param {string} name
 * @param {number} left
 * @param {number} top
 * @param {(n: number) => number} next
 */
function blockPixels(name, left, top, next) {
    const rows = [];

    for (let y = 0; y < PIXELS; y++) {
        const hang = name === 'grass' && (y === 0 || (y === 1 && next(3) > 0));
        let run = null;

        for (let x = 0; x < PIXELS; x++) {
            const colour = hang || (name === 'grass' && y === 2 && next(4) === 0)
                ? GRASS[next(3)] : BLOCKS[name][[0, 0, 1, 1, 2, 3, 4][next(7)]];

            if (run?.colour === colour) {
                run.width++;
            } else {
                run = { x: left + x, y: top + y, width: 1, colour };
                rows.push(run);
            }
        }
    }

    return rows.map((r) => svg('rect', { x: r.x, y: r.y, width: r.width + 0.04, height: 1.04, fill: r.colour }));
}

export function scene() {
    const next = numbers(20090517);
    const land = [];

    for (let x = 0; x < WIDTH; x++) {
        for (let y = 0; y < HEIGHT; y++) {
            const name = blockAt(x, y);

            if (name !== null) {
                land.push(...blockPixels(name, x * PIXELS, (HEIGHT - 1 - y) * PIXELS, next));
            }
        }
    }

    const cloud = (x, y, width) => svg('rect', { class: 'scene-cloud', x, y, width, height: 4 });

    return svg('svg', { viewBox: `0 0 ${WIDTH * PIXELS} ${HEIGHT * PIXELS}`, preserveAspectRatio: 'xMidYMax slice',
                        class: 'scene', 'aria-hidden': 'true', focusable: 'false' },
               svg('rect', { class: 'scene-light', x: 50, y: 8, width: 9, height: 9 }),
               cloud(6, 9, 20), cloud(12, 6, 9), cloud(62, 20, 16), cloud(34, 24, 12),
               svg('g', { class: 'scene-land' }, ...land));
}
