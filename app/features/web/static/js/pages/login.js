import { inWords, problemOf } from "../api.js";
import { byId, say } from "../dom.js";
import { nextPage } from "../layout.js";
import { begin } from "../session.js";

byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { email, password } = event.target.elements;
  try {
    await begin(email.value, password.value);
    location.assign(nextPage());
  } catch (error) {
    say(inWords(error instanceof Response ? await problemOf(error) : error), "bad");
    password.value = "";
    password.focus();
  }
});
