/**
 * A small way to make DOM nodes. Text is always text: nothing here, or
 * anywhere in the dashboard, parses HTML.
 */

/**
 * Makes an element.
 *
 *     h('button', { class: 'button', onclick: save, disabled: busy }, 'Save')
 *
 * "on…" are listeners; `value`, `checked` and `disabled` and the like are set
 * as properties where the element has them; null, undefined and false are
 * left out.
 *
 * @param {string} tag
 * @param {Record<string, any>|null} [props]
 * @param {...any} children   nodes, text, arrays of them; null and false: none
 * @returns {any}
 */
export function h(tag, props = null, ...children) {
    const element = document.createElement(tag);

    for (const [name, value] of Object.entries(props ?? {})) {
        setProp(element, name, value);
    }

    append(element, children);
    return element;
}

const PROPERTIES = new Set(['value', 'checked', 'disabled', 'hidden', 'required', 'readOnly',
                            'selected', 'open', 'tabIndex', 'htmlFor', 'indeterminate']);

/**
 * @param {any} element
 * @param {string} name
 * @param {any} value
 */
function setProp(element, name, value) {
    if (value === null || value === undefined) {
        return;
    }

    if (name.startsWith('on')) {
        element.addEventListener(name.slice(2), value);
    } else if (PROPERTIES.has(name)) {
        element[name] = value;
    } else if (value !== false) {
        element.setAttribute(name, value === true ? '' : String(value));
    }
}

/**
 * @param {Element} parent
 * @param {any} children
 */
export function append(parent, children) {
    for (const child of [children].flat(Infinity)) {
        if (child !== null && child !== undefined && child !== false) {
            parent.append(child);
        }
    }
}

/**
 * Writes text only where it differs, so that selections and screen readers
 * are left in peace.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
    if (element.textContent !== text) {
        element.textContent = text;
    }
}

/**
 * Makes a container's children those of a list: kept by key, moved, made or
 * taken away as needed.
 *
 * @template T
 * @param {Element} container
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => {element: Element, update: (item: T) => void}} make
 * @param {Map<string, {element: Element, update: (item: T) => void}>} views   kept by the caller
 */
export function reconcile(container, items, keyOf, make, views) {
    const keys = new Set(items.map(keyOf));

    for (const [key, view] of views) {
        if (!keys.has(key)) {
            view.element.remove();
            views.delete(key);
        }
    }

    let place = container.firstElementChild;

    for (const item of items) {
        const key = keyOf(item);
        let view = views.get(key);

        if (view === undefined) {
            view = make(item);
            views.set(key, view);
        }

        view.update(item);
        if (view.element === place) {
            place = place.nextElementSibling;
        } else {
            container.insertBefore(view.element, place);
        }
    }
}

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Makes an SVG element.
 *
 * @param {string} tag
 * @param {Record<string, string|number>} attributes
 * @param {...Element} children
 */
export function svg(tag, attributes, ...children) {
    const element = document.createElementNS(SVG, tag);

    for (const [name, value] of Object.entries(attributes)) {
        element.setAttribute(name, String(value));
    }

    element.append(...children);
    return element;
}

let ids = 0;

/**
 * An id that no other element has.
 *
 * @param {string} prefix
 */
export const uniqueId = (prefix) => `${prefix}-${++ids}`;
