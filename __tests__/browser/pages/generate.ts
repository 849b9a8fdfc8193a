// Does what no page of ours may do, so that the others are known to be watched.
try {
  new Function('return 1');
} catch (error) {
  document.title = error instanceof EvalError ? 'refused' : String(error);
}
