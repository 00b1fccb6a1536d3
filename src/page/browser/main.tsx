// main.tsx: starts the page.

import { render } from 'preact';
import { App } from './app.js';

// The token has done its work; it is neither to be bookmarked nor to be seen.
history.replaceState(null, '', `${location.pathname}${location.hash}`);

const root = document.getElementById('app');
if (root !== null) render(<App />, root);
