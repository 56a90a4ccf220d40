/** `npm run simulate [seed]`: prints what runs wait for under overload in each order; without a seed it goes on the page. */
import { renderSimulation, showOnPage, shownSeed } from './render.ts';

const [seed] = process.argv.slice(2);
const rendered = renderSimulation(Number(seed ?? shownSeed));
process.stdout.write(`${rendered}\n`);
if (seed === undefined) showOnPage(rendered);
