import { inWords, problemOf } from "../api.js";
import { byId, onSubmit, say } from "../dom.js";
import { nextPage } from "../layout.js";
import { begin } from "../session.js";

onSubmit(byId("form"), async ({ email, password }) => {
  try {
    await begin(email.value, password.value);
    location.assign(nextPage());
  } catch (error) {
    say(inWords(error instanceof Response ? await problemOf(error) : error), "bad");
    password.value = "";
    password.focus();
  }
});
