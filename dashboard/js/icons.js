/** Icons, drawn as SVG nodes, and the picture of a server. */

import { svg } from './dom.js';

/* Paths on a 16 × 16 grid, stroked. */
const PATHS = {
    plus: ['M8 3v10M3 8h10'],
    play: ['M5 3.5v9l7.5-4.5z'],
    stop: ['M4 4h8v8H4z'],
    restart: ['M13 8a5 5 0 1 1-1.6-3.7L13 5.8', 'M13 2.5v3.3H9.7'],
    trash: ['M3 4.5h10', 'M6.5 4.5V3h3v1.5', 'M4.5 4.5l.6 8.5h5.8l.6-8.5', 'M6.8 7v3.7M9.2 7v3.7'],
    copy: ['M5.5 5.5h7v7h-7z', 'M10.5 5.5v-2h-7v7h2'],
    check: ['M3 8.5l3.2 3.2L13 5'],
    search: ['M7 2.8a4.2 4.2 0 1 1 0 8.4a4.2 4.2 0 0 1 0-8.4', 'M10.2 10.2L13.5 13.5'],
    sun: ['M8 5.2a2.8 2.8 0 1 1 0 5.6a2.8 2.8 0 0 1 0-5.6',
          'M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9'],
    moon: ['M13 9.6A5.6 5.6 0 0 1 6.4 3a5.4 5.4 0 1 0 6.6 6.6z'],
    system: ['M2.5 3h11v7.5h-11z', 'M5.5 13.2h5M8 10.5v2.7'],
    out: ['M9.5 3h-6v10h6', 'M7 8h6.5M11 5.5L13.5 8L11 10.5'],
    back: ['M9.5 3.5L5 8l4.5 4.5'],
    down: ['M8 3v9.5M4 8.5l4 4l4-4'],
    close: ['M4 4l8 8M12 4l-8 8'],
    warning: ['M8 2.2L14.3 13H1.7z', 'M8 6.3v3.2M8 11.2v.3'],
    eraser: ['M6 13h7.5', 'M9.3 3.2l3.8 3.8L7.2 13H5l-2.2-2.2a1 1 0 0 1 0-1.4z', 'M6.2 6.3l3.8 3.8'],
    wrap: ['M2.5 4h11M2.5 12h3', 'M2.5 8h8.7a2 2 0 0 1 0 4H8.5M10 10.2L8.2 12L10 13.8'],
    key: ['M10.5 2.5a3 3 0 1 1 0 6a3 3 0 0 1 0-6', 'M8.4 7.6L3 13v1M5 11l1.6 1.6'],
    external: ['M9 3h4v4M13 3L7.5 8.5', 'M11.5 9.5v3.5h-8.5v-8.5h3.5'],
    players: ['M6 2.8a2.3 2.3 0 1 1 0 4.6a2.3 2.3 0 0 1 0-4.6', 'M1.8 13c.3-2.6 2-4 4.2-4s3.9 1.4 4.2 4',
              'M10.5 3.2a2.1 2.1 0 0 1 0 4M12 9.3c1.3.6 2.1 1.9 2.3 3.7'],
};

/**
 * @param {keyof typeof PATHS} name
 */
export function icon(name) {
    return svg('svg', { viewBox: '0 0 16 16', class: 'icon', 'aria-hidden': 'true', focusable: 'false' },
               ...PATHS[name].map((d) => svg('path', { d })));
}

/** The mark: a block of grass seen from its corner. */
export function logo() {
    return svg('svg', { viewBox: '0 0 24 24', class: 'logo', 'aria-hidden': 'true', focusable: 'false' },
               svg('path', { class: 'logo-top', d: 'M12 1.5l9.5 5.25L12 12L2.5 6.75z' }),
               svg('path', { class: 'logo-left', d: 'M2.5 6.75L12 12v10.5L2.5 17.25z' }),
               svg('path', { class: 'logo-right', d: 'M21.5 6.75L12 12v10.5l9.5-5.25z' }),
               svg('path', { class: 'logo-grass', d: 'M2.5 6.75L12 12v3.2L9.6 13.9v1.6l-2.4-1.3v-1.7l-2.3-1.3v2L2.5 11.9z' }),
               svg('path', { class: 'logo-grass-shade', d: 'M21.5 6.75L12 12v3.2l2.4-1.3v2.4l2.3-1.3v-2l2.4-1.3v1.2l2.4-1.4z' }));
}

/**
 * A 6 × 6 texture that is always the same for the same server.
 *
 * @param {string} seed   the server's id
 */
export function texture(seed) {
    let state = 2166136261;

    for (const c of seed) {
        state = Math.imul(state ^ c.charCodeAt(0), 16777619) >>> 0;
    }

    const next = () => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        state >>>= 0;
        return state;
    };
    const palette = next() % 8;
    const cells = [];

    for (let y = 0; y < 6; y++) {
        for (let x = 0; x < 6; x++) {
            cells.push(svg('rect', { x, y, width: 1.02, height: 1.02, class: `shade-${(next() >>> 9) % 5}` }));
        }
    }

    return svg('svg', { viewBox: '0 0 6 6', class: `texture palette-${palette}`, 'aria-hidden': 'true',
                        focusable: 'false', 'shape-rendering': 'crispEdges' }, ...cells);
}
